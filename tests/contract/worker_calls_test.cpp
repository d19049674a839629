// The calls that workers make for a pool's options, besides the initializer: finalizer and
// exception handler.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::PoolOptions;

namespace {

/// A file of lines that workers append to.
class Log {
 public:
  Log() {
    char name[] = "/tmp/pinion-test-XXXXXX";
    const int fd = ::mkstemp(name);
    REQUIRE(fd >= 0);
    ::close(fd);
    path = name;
  }
  ~Log() { ::unlink(path.c_str()); }
  [[nodiscard]] std::vector<std::string> lines() const {
    std::vector<std::string> all;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) all.push_back(line);
    return all;
  }
  std::string path;
};

void append(const std::string& path, const std::string& line) {
  std::ofstream(path, std::ios::app) << line + "\n" << std::flush;
}

void say_goodbye(const std::string& path) {
  append(path, "worker " + std::to_string(pinion::this_worker::index()));
}

int square(int x) { return x * x; }
int fail(int x) { throw std::out_of_range("item " + std::to_string(x)); }
pinion::Task<int> fail_later(int x) {
  co_await pinion::sleep_for(1ms);
  throw std::range_error("later " + std::to_string(x));
}

void note_failure(std::exception_ptr error, const std::string& path) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    append(path, e.what());
  }
}

}  // namespace

TEST_CASE("the finalizer runs once in each worker, after its last task") {
  NothingLeft nothing;
  Log log;
  {
    CheckedPool pool(PoolOptions{.processes = 2, .finalizer = pinion::call(say_goodbye, log.path)});
    pool.map([](int) { std::this_thread::sleep_for(1ms); }, numbers(20));
    CHECK(log.lines().empty());
  }
  auto lines = log.lines();
  std::sort(lines.begin(), lines.end());
  CHECK(lines == std::vector<std::string>{"worker 0", "worker 1"});
}

TEST_CASE("the finalizer runs in workers that are recycled, too") {
  Log log;
  {
    CheckedPool pool(PoolOptions{.processes = 1,
                                 .finalizer = pinion::call(say_goodbye, log.path),
                                 .max_tasks_per_child = 2});
    for (int i = 0; i < 6; ++i) pool.apply(square, i);
  }
  CHECK(log.lines().size() >= 3);
}

TEST_CASE("a pool that is terminated runs no finalizer") {
  Log log;
  CheckedPool pool(PoolOptions{.processes = 2, .finalizer = pinion::call(say_goodbye, log.path)});
  pool.apply(square, 1);
  pool.terminate();
  pool.join();
  CHECK(log.lines().empty());
}

TEST_CASE("what a finalizer throws is counted") {
  NothingLeft nothing;
  CheckedPool pool(PoolOptions{.processes = 2,
                               .finalizer = pinion::call([] { throw std::runtime_error("x"); })});
  CHECK(pool.apply(square, 3) == 9);
  pool.close();
  pool.join();
  CHECK(pool.stats().finalizer_errors == 2);
}

TEST_CASE("a finalizer that does not end, or dies, holds nobody up") {
  if (left_out("it ends its process")) return;
  NothingLeft nothing;
  CheckedPool hangs(
      PoolOptions{.processes = 1, .start_limit = 1s, .finalizer = pinion::call([] { ::pause(); })});
  CHECK(hangs.apply(square, 3) == 9);
  hangs.close();
  CHECK(hangs.join(20s));
  CheckedPool dies(PoolOptions{
      .processes = 1, .finalizer = pinion::call([] { std::abort(); }), .max_tasks_per_child = 1});
  for (int i = 0; i < 3; ++i) CHECK(dies.apply(square, i) == i * i);
  CHECK(eventually([&] { return dies.stats().deaths >= 2; }));
}

TEST_CASE("the exception handler sees what tasks throw, and callers get it as ever") {
  Log log;
  CheckedPool pool(PoolOptions{.processes = 2, .exception_handler = {note_failure, log.path}});
  CHECK(pool.apply(square, 2) == 4);
  CHECK(log.lines().empty());
  CHECK_THROWS_AS(pool.apply(fail, 1), std::out_of_range);
  CHECK_THROWS_AS(pool.apply(fail_later, 2), std::range_error);
  CHECK_THROWS_AS(pool.map(fail, std::vector{3, 4}), std::out_of_range);
  CHECK_THROWS_AS(pool.map(fail_later, std::vector{5, 6}), std::range_error);
  auto lines = log.lines();
  std::sort(lines.begin(), lines.end());
  CHECK(lines ==
        std::vector<std::string>{"item 1", "item 3", "item 4", "later 2", "later 5", "later 6"});
  CHECK(pool.stats().handler_errors == 0);
}

TEST_CASE("what the exception handler throws is counted and harms nothing") {
  CheckedPool pool(PoolOptions{.processes = 1, .exception_handler = [](std::exception_ptr) {
                                 throw std::logic_error("y");
                               }});
  for (int i = 0; i < 3; ++i) CHECK_THROWS_AS(pool.apply(fail, i), std::out_of_range);
  CHECK(pool.stats().handler_errors == 3);
  CHECK(pool.apply(square, 2) == 4);
}

TEST_CASE("the scope's end waits shutdown_limit for what was accepted, then terminates") {
  if (left_out("the task goes on")) return;
  NothingLeft nothing;
  std::optional<pinion::AsyncResult<void>> stuck;
  std::optional<pinion::AsyncResult<int>> done;
  const auto begin = std::chrono::steady_clock::now();
  {
    pinion::Pool pool(PoolOptions{.processes = 2, .shutdown_limit = 200ms});
    stuck.emplace(pool.apply_async([] { ::pause(); }));
    done.emplace(pool.apply_async(square, 3));
  }
  CHECK(std::chrono::steady_clock::now() - begin >= 200ms);
  CHECK(done->get() == 9);
  CHECK_THROWS_AS(stuck->get(), pinion::PoolTerminated);
}
