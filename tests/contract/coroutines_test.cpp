// What coroutine tasks can await, in the workers of a pool, on either backend; and how the caller's
// cancellations and limits reach the coroutines within.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <span>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::Cancelled;
using pinion::IoBackend;
using pinion::PoolOptions;
using pinion::Task;
using pinion::TaskOptions;
using pinion::TaskTimeout;

namespace {

std::span<std::byte> bytes(std::string& text) { return std::as_writable_bytes(std::span(text)); }

Task<> sleep_long() { co_await pinion::sleep_for(std::chrono::hours(1)); }

/// Waits in a group, in a race, in a limit, for a byte that never comes.
Task<int> wait_deep() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) co_return -1;
  auto read_one = [](int fd) -> Task<int> {
    std::string text(1, '.');
    co_return static_cast<int>(co_await pinion::io::read(fd, bytes(text)));
  };
  auto in_group = [](Task<int> task) -> Task<int> {
    auto drop = [](Task<int> inner) -> Task<> { (void)co_await std::move(inner); };
    pinion::TaskGroup group;
    group.start(sleep_long());
    group.start(drop(std::move(task)));
    co_await group.wait();
    co_return 0;
  };
  const auto first = co_await pinion::when_any(
      pinion::with_timeout(std::chrono::hours(1), in_group(read_one(ends[0]))), sleep_long());
  co_return static_cast<int>(first.index());
}

Task<std::string> through_a_file(int number) {
  const int fd = co_await pinion::io::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  std::string text = std::to_string(number) + std::string(20'000, 'f');
  co_await pinion::io::write_all(fd, bytes(text), 0);
  co_await pinion::io::fsync(fd);
  const auto status = co_await pinion::io::statx(fd, "", AT_EMPTY_PATH, STATX_SIZE);
  std::string back(status.stx_size, '.');
  co_await pinion::io::read_exactly(fd, bytes(back), 0);
  co_await pinion::io::close(fd);
  co_return back == text ? std::to_string(number) : "another text";
}

/// A producer and some consumers over a channel, with at most two of these at work at once.
Task<int> sum_in_parts(int n) {
  pinion::Channel<int> channel(4);
  pinion::Semaphore two(2);
  int sum = 0;
  auto produce = [](pinion::Channel<int>& to, int count) -> Task<> {
    for (int i = 1; i <= count; ++i) {
      const bool sent = co_await to.send(i);
      if (!sent) throw std::logic_error("closed");
    }
    to.close();
  };
  auto consume = [](pinion::Channel<int>& from, pinion::Semaphore& limit, int& total) -> Task<> {
    while (const auto value = co_await from.receive()) {
      const auto permit = co_await limit.permit();
      co_await pinion::yield();
      total += *value;
    }
  };
  pinion::TaskGroup group;
  group.start(produce(channel, n));
  for (int i = 0; i < 5; ++i) group.start(consume(channel, two, sum));
  co_await group.wait();
  co_return sum;
}

Task<std::string> time_out_inside() {
  co_await pinion::with_timeout(std::chrono::milliseconds(5), sleep_long());
  co_return "never";
}

void on_each_backend(void (*check)(pinion::Pool&)) {
  for (const IoBackend io : {IoBackend::poll, IoBackend::automatic}) {
    CAPTURE(static_cast<int>(io));
    CheckedPool pool(PoolOptions{.processes = 2, .io = io});
    check(pool);
    check_rest(pool);
    check_peace(pool);
  }
}

}  // namespace

TEST_CASE("files and whole transfers in workers") {
  on_each_backend([](pinion::Pool& pool) {
    const std::vector<std::string> results = pool.map(through_a_file, numbers(100));
    for (std::size_t i = 0; i < 100; ++i) CHECK(results[i] == std::to_string(i));
  });
}

TEST_CASE("groups, channels and semaphores in workers") {
  on_each_backend([](pinion::Pool& pool) {
    const std::vector<int> results = pool.map(sum_in_parts, std::vector<int>(20, 100));
    CHECK(results == std::vector<int>(20, 5050));
  });
}

TEST_CASE("a cancellation reaches the innermost await, and the worker goes on") {
  on_each_backend([](pinion::Pool& pool) {
    for (int i = 0; i < 20; ++i) {
      const auto waits = pool.apply_async(wait_deep);
      if (i % 2 == 0) std::this_thread::sleep_for(5ms);
      static_cast<void>(waits.cancel());
      REQUIRE(waits.wait(10s));
      CHECK_THROWS_AS(waits.get(), Cancelled);
    }
    for (const auto& worker : pool.workers()) CHECK(worker.generation == 1);
  });
}

TEST_CASE("a limit of the caller reaches the innermost await, and the worker goes on") {
  on_each_backend([](pinion::Pool& pool) {
    const TaskOptions limit{.timeout = 20ms, .grace = 10s};
    const auto start = Clock::now();
    CHECK_THROWS_AS(pool.apply(limit, wait_deep), TaskTimeout);
    CHECK(Clock::now() - start < 5s);  // not the grace
    for (const auto& worker : pool.workers()) CHECK(worker.generation == 1);
  });
}

TEST_CASE("a limit within a task is that task's error") {
  if (left_out("an error comes back as itself, and is no RemoteError")) return;
  on_each_backend([](pinion::Pool& pool) {
    CHECK_THROWS_AS(pool.apply(time_out_inside), TaskTimeout);
    try {
      pool.apply(time_out_inside);
    } catch (const pinion::RemoteError& error) {
      CHECK(std::string(error.what()).find("with_timeout") != std::string::npos);
    }
  });
}
