// pinion::run: coroutines on the caller's own thread.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <span>
#include <stdexcept>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::Task;

namespace {

Task<int> seven() { co_return 7; }
Task<> nothing() { co_return; }
Task<std::unique_ptr<int>> movable() { co_return std::make_unique<int>(8); }
Task<int> failing() {
  co_await pinion::yield();
  throw std::out_of_range("out of the coroutine");
}
Task<> sleep_long() { co_await pinion::sleep_for(std::chrono::hours(1)); }

struct Counted {
  explicit Counted(int& n) : alive(n) { ++alive; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { --alive; }
  int& alive;
};

std::size_t open_descriptors() {
  std::size_t n = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    static_cast<void>(entry);
    ++n;
  }
  return n;
}

struct Pipe {
  Pipe() { REQUIRE(::pipe2(ends, O_CLOEXEC) == 0); }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    ::close(ends[0]);
    ::close(ends[1]);
  }
  int ends[2];
};

Task<std::string> read_some(int fd) {
  std::string text(100, '.');
  text.resize(co_await pinion::io::read(fd, std::as_writable_bytes(std::span(text))));
  co_return text;
}
Task<> write_later(int fd, std::string text) {
  co_await pinion::sleep_for(2ms);
  (void)co_await pinion::io::write(fd, std::as_bytes(std::span(text)));
}

Task<int> nested() { co_return pinion::run(seven()); }

int run_in_plain_task(int n) {
  auto twice = [](int value) -> Task<int> {
    co_await pinion::sleep_for(1ms);
    co_return 2 * value;
  };
  return pinion::run(twice(n));
}

}  // namespace

TEST_CASE("run gives the result of its task, or throws its exception") {
  CHECK(pinion::run(seven()) == 7);
  pinion::run(nothing());
  CHECK(*pinion::run(movable()) == 8);
  CHECK_THROWS_AS(pinion::run(failing()), std::out_of_range);
  CHECK(pinion::run(seven()) == 7);  // again, on a loop of its own
}

TEST_CASE("a task that was awaited or moved from before is refused") {
  Task<int> task = seven();
  CHECK(pinion::run(std::move(task)) == 7);
  CHECK_THROWS_AS(pinion::run(std::move(task)), std::logic_error);
}

TEST_CASE("inside a running loop it is refused, and the outer task goes on") {
  CHECK_THROWS_AS(pinion::run(nested()), std::logic_error);
  auto survive = []() -> Task<int> {
    int caught = 0;
    try {
      pinion::run(seven());
    } catch (const std::logic_error&) {
      caught = 1;
    }
    co_await pinion::sleep_for(1ms);
    const int value = co_await seven();
    co_return caught + value;
  };
  CHECK(pinion::run(survive()) == 8);
}

TEST_CASE("timers, pipes, groups, channels, semaphores, races and limits work in it") {
  const Pipe pipe;
  auto all = [](int in, int out) -> Task<std::string> {
    pinion::Channel<int> channel(2);
    pinion::Semaphore one(1);
    int sum = 0;
    auto produce = [](pinion::Channel<int>& to) -> Task<> {
      for (int i = 1; i <= 10; ++i) {
        const bool sent = co_await to.send(i);
        if (!sent) throw std::logic_error("closed");
      }
      to.close();
    };
    auto consume = [](pinion::Channel<int>& from, pinion::Semaphore& limit, int& total) -> Task<> {
      while (const auto value = co_await from.receive()) {
        const auto permit = co_await limit.permit();
        co_await pinion::sleep_for(100us);
        total += *value;
      }
    };
    pinion::TaskGroup group;
    group.start(produce(channel));
    for (int i = 0; i < 3; ++i) group.start(consume(channel, one, sum));
    co_await group.wait();
    auto [text, written] =
        co_await pinion::when_all(read_some(in), write_later(out, std::to_string(sum)));
    const auto first = co_await pinion::when_any(sleep_long(), seven());
    if (first.index() != 1) co_return "the wrong one was first";
    bool expired = false;
    try {
      co_await pinion::with_timeout(2ms, sleep_long());
    } catch (const pinion::TaskTimeout&) {
      expired = true;
    }
    co_return expired ? text : "no limit";
  };
  CHECK(pinion::run(all(pipe.ends[0], pipe.ends[1])) == "55");
}

TEST_CASE("child processes are started and awaited in it") {
  auto echo = []() -> Task<std::string> {
    const Pipe pipe;
    pinion::io::SpawnRequest request;
    request.argv = {"sh", "-c", "echo from a child; exit 3"};
    request.stdout_fd = pipe.ends[1];
    pinion::io::Process child = co_await pinion::io::spawn_process(std::move(request));
    std::string text = co_await read_some(pipe.ends[0]);
    const pinion::io::ProcessExit exit = co_await pinion::io::wait_process(child);
    co_return text + std::to_string(exit.code);
  };
  CHECK(pinion::run(echo()) == "from a child\n3");
}

TEST_CASE("tasks sleep at the same time") {
  const auto begin = Clock::now();
  auto all = []() -> Task<std::size_t> {
    std::vector<Task<int>> tasks;
    auto nap = []() -> Task<int> {
      co_await pinion::sleep_for(50ms);
      co_return 1;
    };
    for (int i = 0; i < 100; ++i) tasks.push_back(nap());
    const auto results = co_await pinion::when_all(std::move(tasks));
    co_return results.size();
  };
  CHECK(pinion::run(all()) == 100);
  CHECK(Clock::now() - begin >= 50ms);
  CHECK(Clock::now() - begin < 4s);  // one after the other: 5 s
}

TEST_CASE("each thread may run one") {
  std::atomic<int> sum{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&sum] {
      for (int i = 0; i < 50; ++i) {
        auto one = []() -> Task<int> {
          co_await pinion::sleep_for(100us);
          co_return 1;
        };
        sum += pinion::run(one());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(sum == 200);
}

TEST_CASE("coroutines that all wait for each other are an error, and are destroyed") {
  int alive = 0;
  auto stuck = [](int& n) -> Task<int> {
    const Counted counted(n);
    pinion::Channel<int> channel(1);
    const auto value = co_await channel.receive();
    co_return *value;
  };
  CHECK_THROWS_AS(pinion::run(stuck(alive)), std::logic_error);
  CHECK(alive == 0);
}

TEST_CASE("it leaves no descriptor behind, and what the task held is gone") {
  const Pipe pipe;
  int alive = 0;
  pinion::run(nothing());
  const std::size_t before = open_descriptors();
  auto waits = [](int in, int out, int& n) -> Task<> {
    const Counted counted(n);
    auto [text, written] = co_await pinion::when_all(read_some(in), write_later(out, "x"));
  };
  for (int i = 0; i < 20; ++i) {
    pinion::run(waits(pipe.ends[0], pipe.ends[1], alive));
    REQUIRE(alive == 0);
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("a plain task of a worker may run one; a coroutine task is in a loop already") {
  CheckedPool pool(2);
  CHECK(pool.map(run_in_plain_task, numbers(20)).back() == 38);
  CHECK_THROWS_AS(static_cast<void>(pool.apply(nested)), std::logic_error);
  CHECK(pool.apply(run_in_plain_task, 4) == 8);
}

TEST_CASE("a callback may run one") {
  CheckedPool pool(1);
  std::atomic<int> value{0};
  const auto result = pool.apply_async(run_in_plain_task, 1);
  result.on_success([&](int n) { value = n + pinion::run(seven()); });
  CHECK(eventually([&] { return value == 9; }));
}
