// Trees of coroutines drawn at random, over everything that can be awaited, cancelled and destroyed
// at random: nothing is lost, nothing is left, and nobody hangs.
#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pinion/channel.hpp>
#include <pinion/semaphore.hpp>
#include <pinion/task_group.hpp>
#include <pinion/when_any.hpp>
#include <pinion/with_timeout.hpp>

#include <chrono>
#include <filesystem>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/seed.hpp"
#include "tests/unit/loop_helpers.hpp"

using namespace pinion;
using namespace pinion::tests;
using namespace std::chrono_literals;
using loop::Loop;
using loop::Run;
using loop::run_task;
using os::Fd;

namespace {

/// What the coroutines share, and what they have done with it.
struct World {
  World(std::uint64_t seed, bool destroys_some) : destroys(destroys_some), random(seed) {}

  int draw(int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); }

  bool destroys;  // what has ended is lost with a coroutine that is destroyed before it goes on
  std::mt19937_64 random;
  Pipe silent{O_NONBLOCK};
  Pipe fed;
  TemporaryFile file;
  Channel<int> channel{3};
  Semaphore semaphore{2};
  long bytes_written = 0;
  long bytes_read = 0;
  long sent = 0;
  long received = 0;
  int inside = 0;  // of the semaphore
  int wrong = 0;
  std::uint64_t regions = 0;
};

Task<> any_task(World& world, int depth);

Task<> use_file(World& world) {
  const std::uint64_t at = world.regions++ * 8192;
  const std::string text(static_cast<std::size_t>(1 + world.draw(8000)),
                         static_cast<char>('a' + world.draw(26)));
  co_await io::write_all(world.file.fd.get(), bytes_of(text), at);
  std::string back(text.size(), '.');
  co_await io::read_exactly(world.file.fd.get(), bytes_of(back), at);
  if (back != text) ++world.wrong;
}

Task<> use_descriptor(World& world) {
  const Fd fd(co_await io::open("/dev/null", O_WRONLY | O_CLOEXEC));
  if (fd.get() < 0) ++world.wrong;
  co_await io::close(::dup(fd.get()));
}

Task<> use_sockets(World& world) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    throw std::runtime_error("no sockets");
  const Fd one(ends[0]);
  const Fd two(ends[1]);
  auto echo = [](int fd) -> Task<> {
    std::string text(3, '.');
    co_await io::read_exactly(fd, bytes_of(text));
    (void)co_await io::send(fd, bytes_of(std::as_const(text)));
  };
  auto ask = [](int fd, World& of) -> Task<> {
    (void)co_await io::send(fd, bytes_of(std::string("abc")));
    std::string text(3, '.');
    co_await io::read_exactly(fd, bytes_of(text));
    if (text != "abc") ++of.wrong;
  };
  co_await when_all(echo(one.get()), ask(two.get(), world));
}

Task<> use_pipe(World& world) {
  if (world.draw(2) == 0) {
    const std::size_t n = co_await write_some(world.fed.in.get(), "xyz");
    world.bytes_written += static_cast<long>(n);
  } else {
    const std::string text = co_await read_some(world.fed.out.get(), 2);
    world.bytes_read += static_cast<long>(text.size());
  }
}

Task<> use_channel(World& world) {
  if (world.draw(2) == 0) {
    const bool taken = co_await world.channel.send(1);
    world.sent += taken ? 1 : 0;
  } else {
    const auto value = co_await world.channel.receive();
    world.received += value ? 1 : 0;
  }
}

Task<> use_semaphore(World& world, int depth) {
  const Semaphore::Permit permit = co_await world.semaphore.permit();
  struct Inside {
    explicit Inside(World& w) : world(w) {
      if (++world.inside > 2) ++world.wrong;
    }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
    ~Inside() { --world.inside; }
    World& world;
  };
  const Inside inside(world);
  co_await any_task(world, depth);
}

Task<> use_group(World& world, int depth) {
  TaskGroup group;
  for (int i = world.draw(5); i > 0; --i) group.start(any_task(world, depth));
  if (world.destroys && world.draw(3) == 0) co_await yield();
  if (world.draw(4) == 0) group.cancel();
  if (world.destroys && world.draw(8) == 0) co_return;
  co_await group.wait();
}

Task<> wait_silently(World& world) {
  if (world.draw(2) == 0)
    (void)co_await io::poll(world.silent.out.get(), POLLIN);
  else
    (void)co_await read_some(world.silent.out.get(), 10);
  ++world.wrong;
}

Task<> any_task(World& world, int depth) {
  const int choice = world.draw(depth > 0 ? 16 : 10);
  const Duration moment = std::chrono::microseconds(world.draw(3000));
  switch (choice) {
    case 0:
      co_return co_await sleep_for(moment);
    case 1:
      for (int i = world.draw(4); i > 0; --i) co_await yield();
      co_return;
    case 2:
      co_return co_await wait_silently(world);
    case 3:
    case 4:
      co_return co_await use_pipe(world);
    case 5:
      co_return co_await use_file(world);
    case 6:
      co_return co_await use_descriptor(world);
    case 7:
      co_return co_await use_sockets(world);
    case 8:
      co_return co_await use_channel(world);
    case 9:
      if (world.draw(3) == 0) throw std::out_of_range("an error of its own");
      co_return;
    case 10:
    case 11:
      co_return co_await with_timeout(moment, any_task(world, depth - 1));
    case 12:
      (void)co_await when_any(any_task(world, depth - 1), any_task(world, depth - 1));
      co_return;
    case 13:
      (void)co_await when_all(any_task(world, depth - 1), any_task(world, depth - 1));
      co_return;
    case 14:
      co_return co_await use_semaphore(world, depth - 1);
    default:
      co_return co_await use_group(world, depth - 1);
  }
}

/// Ends in any case.
Task<> root_task(World& world) {
  const Duration limit = std::chrono::microseconds(world.draw(15'000));
  try {
    co_await with_timeout(limit, any_task(world, 4));
  } catch (const TaskTimeout&) {
  } catch (const Cancelled&) {
  } catch (const std::out_of_range&) {
  }
}

long bytes_left(World& world) {
  ::fcntl(world.fed.out.get(), F_SETFL, O_NONBLOCK);
  std::string text(1 << 20, '.');
  const ssize_t n = ::read(world.fed.out.get(), text.data(), text.size());
  return n > 0 ? static_cast<long>(n) : 0;
}

std::size_t descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// Up to 40 at a time, 600 in all.
void storm(Loop& loop, World& world) {
  std::vector<std::unique_ptr<Run<void>>> runs;
  const std::int64_t until = os::now_ns() + 20'000 * ms;
  for (int started = 0; started < 600 || !runs.empty();) {
    REQUIRE(os::now_ns() < until);
    while (started < 600 && runs.size() < 40) {
      runs.push_back(std::make_unique<Run<void>>(loop, root_task(world)));
      ++started;
    }
    if (loop.run_ready(static_cast<std::size_t>(1 + world.draw(64))))
      loop.poll();
    else
      loop.wait(os::now_ns() + ms);
    const auto chosen = static_cast<std::size_t>(world.draw(static_cast<int>(runs.size())));
    if (world.draw(20) == 0) loop.cancel(runs[chosen]->root());
    if (world.destroys && world.draw(20) == 0) runs.erase(runs.begin() + static_cast<long>(chosen));
    std::erase_if(runs, [](const auto& run) {
      if (!run->done()) return false;
      run->take();
      return true;
    });
  }
}

}  // namespace

TEST_CASE("trees of coroutines at random, cancelled at random: no byte and no value is lost") {
  const std::uint64_t seed = checks::seed();
  on_each_backend([seed](Loop& loop) {
    const std::size_t before = descriptors();
    {
      World world(seed, false);
      storm(loop, world);
      CHECK(world.wrong == 0);
      CHECK(world.inside == 0);
      CHECK(world.semaphore.available() == 2);
      CHECK(world.bytes_written == world.bytes_read + bytes_left(world));
      CHECK(world.sent == world.received + static_cast<long>(world.channel.size()));
      CHECK(world.bytes_read > 0);
      CHECK(world.received > 0);
      CHECK_FALSE(loop.in_flight());
    }
    CHECK(descriptors() <= before + 3);  // what the loop keeps: its backend
  });
}

TEST_CASE("trees of coroutines at random, destroyed at random: nothing is left") {
  const std::uint64_t seed = checks::seed();
  on_each_backend([seed](Loop& loop) {
    const std::size_t before = descriptors();
    {
      World world(seed, true);
      storm(loop, world);
      CHECK(world.wrong == 0);
      CHECK(world.inside == 0);
      CHECK(world.semaphore.available() == 2);
      CHECK_FALSE(loop.in_flight());
    }
    CHECK(descriptors() <= before + 3);
  });
}
