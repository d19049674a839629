// What a pool can be asked for: each choice works, and bad ones are named.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <span>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::Idle;
using pinion::IoBackend;
using pinion::Placement;
using pinion::PoolOptions;
using pinion::StartMethod;

namespace {

int square(int x) { return x * x; }
pinion::Task<int> nap(int ms) {
  co_await pinion::sleep_for(std::chrono::milliseconds(ms));
  co_return ms;
}

pinion::Task<std::string> read_all(int fd) {
  std::string all;
  for (;;) {
    std::array<std::byte, 16> buffer{};
    const std::size_t n = co_await pinion::io::read(fd, std::span(buffer));
    if (n == 0) break;
    all.append(reinterpret_cast<const char*>(buffer.data()), n);
  }
  co_return all;
}
pinion::Task<int> write_all(int fd, std::string text) {
  co_await pinion::sleep_for(5ms);
  for (std::size_t at = 0; at < text.size();) {
    const auto rest = std::as_bytes(std::span(text).subspan(at));
    const std::size_t n = co_await pinion::io::write(fd, rest);
    at += n;
  }
  ::close(fd);
  co_return 0;
}
/// A text through a pipe: reader and writer wait for each other in one worker.
pinion::Task<std::string> through_a_pipe(std::string text) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  auto both = co_await pinion::when_all(read_all(ends[0]), write_all(ends[1], text));
  ::close(ends[0]);
  co_return std::get<0>(both);
}

void basic_suite(const PoolOptions& options) {
  CheckedPool pool(options);
  for (int i = 0; i < 200; ++i) REQUIRE(pool.apply(square, i) == i * i);
  const auto all = numbers(1000);
  for (const auto& squares : {pool.map(square, all), pool.map(square, all, 7)}) {
    REQUIRE(squares.size() == 1000);
    for (int i = 0; i < 1000; ++i) REQUIRE(squares[std::size_t(i)] == i * i);
  }
  CHECK_THROWS_AS(pool.apply([] { throw std::out_of_range("x"); }), std::out_of_range);
  const auto begin = Clock::now();
  CHECK(pool.map(nap, std::vector<int>(20, 20)) == std::vector<int>(20, 20));
  CHECK(Clock::now() - begin < 350ms);
  const std::string text(5000, 'p');
  CHECK(pool.apply(through_a_pipe, text) == text);
  std::this_thread::sleep_for(30ms);  // asleep, if it ever sleeps
  CHECK(pool.apply(square, 12) == 144);
  if (workers_are_processes()) {
    CHECK_THROWS_AS(pool.apply([] { ::_exit(1); }), pinion::WorkerLost);
  }
  CHECK(pool.apply(through_a_pipe, "again") == "again");
}

/// The text of the std::invalid_argument that these options are refused with.
std::string refusal(const PoolOptions& options) {
  NothingLeft nothing;
  try {
    CheckedPool pool(options);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}
bool names(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

std::vector<unsigned> usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) std::abort();  // it runs in workers, too
  std::vector<unsigned> cpus;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}
std::vector<unsigned> own_affinity() { return usable_cpus(); }

bool uring_works() {
  try {
    CheckedPool pool(PoolOptions{.processes = 1, .io = IoBackend::uring});
    return pool.apply(through_a_pipe, "x") == "x";
  } catch (const std::exception& error) {
    skip(std::string("io_uring is not to be had here: ") + error.what());
    return false;
  }
}

}  // namespace

TEST_CASE("each way to idle, on each backend") {
  const bool uring = uring_works();
  for (const Idle idle : {Idle::spin, Idle::adaptive, Idle::sleep}) {
    for (const IoBackend io : {IoBackend::automatic, IoBackend::poll, IoBackend::uring}) {
      if (io == IoBackend::uring && !uring) continue;
      CAPTURE(static_cast<int>(idle));
      CAPTURE(static_cast<int>(io));
      NothingLeft nothing;
      basic_suite({.processes = 2, .idle = idle, .io = io});
    }
  }
}

TEST_CASE("workers tell their backend and why, after the first await that needs one") {
  for (const IoBackend io : {IoBackend::automatic, IoBackend::poll}) {
    CheckedPool pool(PoolOptions{.processes = 1, .io = io});
    CHECK(pool.apply(square, 3) == 9);
    CHECK(pool.workers().at(0).io_backend.empty());
    CHECK(pool.apply(through_a_pipe, "x") == "x");
    CHECK(eventually([&] { return !pool.workers().at(0).io_backend.empty(); }, 2s));
    const auto worker = pool.workers().at(0);
    CAPTURE(worker.io_backend);
    CAPTURE(worker.io_reason);
    CHECK((worker.io_backend == "poll" || worker.io_backend == "uring"));
    CHECK(!worker.io_reason.empty());
    if (io == IoBackend::poll) CHECK(worker.io_backend == "poll");
  }
}

TEST_CASE("placed nowhere, workers run where the caller may") {
  const auto usable = usable_cpus();
  CheckedPool pool(PoolOptions{.processes = 3, .placement = Placement::none()});
  for (const auto& worker : pool.workers()) CHECK(worker.cpus.empty());
  for (int i = 0; i < 20; ++i) CHECK(pool.apply(own_affinity) == usable);
  CHECK(pool.apply([] { return pinion::this_worker::cpus().empty(); }));
}

TEST_CASE("placed on one CPU, all workers are there, and no other thread is moved") {
  const auto usable = usable_cpus();
  const std::vector<unsigned> first{usable.front()};
  const Placement place("{" + std::to_string(first[0]) + "}");
  CheckedPool pool(PoolOptions{.processes = 2, .placement = place});
  for (const auto& worker : pool.workers()) CHECK(worker.cpus == first);
  for (int i = 0; i < 20; ++i) CHECK(pool.apply(own_affinity) == first);
  CHECK(pool.apply([] { return pinion::this_worker::cpus(); }) == first);
  CHECK(usable_cpus() == usable);
  basic_suite({.processes = 2, .placement = place});
}

TEST_CASE("more workers than places wrap round them") {
  CheckedPool pool(PoolOptions{.processes = 6});
  CHECK(pool.processes() == 6);
  std::map<std::vector<unsigned>, int> places;
  for (const auto& worker : pool.workers()) ++places[worker.cpus];
  int least = 6;
  int most = 0;
  for (const auto& [cpus, workers] : places) {
    CHECK(!cpus.empty());
    least = std::min(least, workers);
    most = std::max(most, workers);
  }
  CHECK(most - least <= 1);
  CHECK(pool.map(square, numbers(100), 3).back() == 99 * 99);
  std::vector<pinion::AsyncResult<int>> results;
  for (int i = 0; i < 600; ++i) results.push_back(pool.apply_async(square, i));
  for (int i = 0; i < 600; ++i) REQUIRE(results[std::size_t(i)].get() == i * i);
}

TEST_CASE("a CPU outside of what is usable is refused by its number") {
  CHECK(names(refusal({.processes = 1, .placement = Placement("{1000}")}), "CPU 1000"));
  CHECK(names(refusal({.processes = 1, .placement = Placement("900-901")}), "CPU 900"));
  CHECK(refusal({.processes = 1, .placement = Placement("{0:4}:")}) != "accepted");
  CHECK(refusal({.processes = 1, .placement = Placement("nonsense")}) != "accepted");
}

TEST_CASE("bad values are refused by the option's name") {
  CHECK(names(refusal({.processes = 5000}), "processes"));
  CHECK(names(refusal({.child_concurrency = 0}), "child_concurrency"));
  CHECK(names(refusal({.child_concurrency = 65537}), "child_concurrency"));
  CHECK(names(refusal({.max_pending = 0}), "max_pending"));
  CHECK(names(refusal({.start_method = static_cast<StartMethod>(99)}), "start_method"));
}

TEST_CASE("chunks of no or of negative size are refused (edge case 9)") {
  CHECK_THROWS_AS(pinion::Chunking(0), std::invalid_argument);
  CHECK_THROWS_AS(pinion::Chunking(-1), std::invalid_argument);
  CHECK_THROWS_AS(pinion::Chunking::fixed(0L), std::invalid_argument);
  CheckedPool pool(1);
  CHECK_THROWS_AS(pool.map(square, numbers(3), 0), std::invalid_argument);
  CHECK_THROWS_AS(pool.map_async(square, numbers(3), -7), std::invalid_argument);
  CHECK(pool.map(square, numbers(3), std::size_t{1} << 40) == std::vector{0, 1, 4});
  CHECK(pool.stats().accepted == 3);
}

TEST_CASE("the start methods that there are") {
  for (const StartMethod method :
       {StartMethod::automatic, StartMethod::fork, StartMethod::forkserver, StartMethod::spawn,
        StartMethod::thread, StartMethod::serial}) {
    CheckedPool pool(PoolOptions{.processes = 1, .start_method = method});
    CHECK(pool.apply(square, 5) == 25);
  }
}

TEST_CASE("thousands of coroutines wait side by side in one worker") {
  CheckedPool pool(PoolOptions{.processes = 1, .child_concurrency = 2000});
  CHECK(pool.apply(nap, 1) == 1);
  const auto begin = Clock::now();
  std::vector<pinion::AsyncResult<int>> results;
  for (int i = 0; i < 2000; ++i) results.push_back(pool.apply_async(nap, 300));
  for (const auto& result : results) REQUIRE(result.get() == 300);
  CHECK(Clock::now() - begin < 1s);
  const auto again = Clock::now();
  CHECK(pool.map(nap, std::vector<int>(2000, 300)).size() == 2000);
  CHECK(Clock::now() - again < 1s);
}

TEST_CASE("no more coroutines than allowed are under way at once") {
  static int now = 0;
  static int most = 0;
  const auto counts = []() -> pinion::Task<int> {
    most = std::max(most, ++now);
    co_await pinion::sleep_for(2ms);
    --now;
    co_return most;
  };
  for (const unsigned allowed : {1U, 3U, 16U}) {
    CAPTURE(allowed);
    CheckedPool pool(PoolOptions{.processes = 1, .child_concurrency = allowed});
    std::vector<pinion::AsyncResult<int>> results;
    for (int i = 0; i < 100; ++i) results.push_back(pool.apply_async(counts));
    int highest = 0;
    for (const auto& result : results) highest = std::max(highest, result.get());
    CHECK(highest == static_cast<int>(allowed));
  }
}

TEST_CASE("a PINION_IO that says nothing known is refused by name") {
  ::setenv("PINION_IO", "kqueue", 1);
  const std::string text = error_of([] { CheckedPool pool(1); });
  ::unsetenv("PINION_IO");
  CHECK(text.find("PINION_IO is \"kqueue\"") != std::string::npos);
  CHECK_NOTHROW(pinion::Pool(pinion::PoolOptions{.processes = 1}));
}
