// pinion::Process: one function in a process of its own.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <memory>
#include <stdexcept>

#include "tests/contract/checks.hpp"

using namespace std::chrono_literals;
using checks::Clock;
using checks::error_of;
using pinion::ExitStatus;
using pinion::Process;
using pinion::ProcessOptions;
using pinion::Task;

namespace {

void nothing() {}
int code(int n) { return n; }
void leave(int n) { std::exit(n); }
void fail(const std::string& text) { throw std::out_of_range(text); }
void raise_signal(int number) { ::raise(number); }
void wait_for_signal() {
  for (;;) ::pause();
}
void ignore_terminations() {
  std::signal(SIGTERM, SIG_IGN);
  wait_for_signal();
}
int sum_of(const std::vector<int>& values, std::unique_ptr<int> more) {
  return std::accumulate(values.begin(), values.end(), *more);
}
void create(const std::string& path, int after_ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(after_ms));
  std::ofstream(path) << "x";
}
Task<int> nap(int ms) {
  co_await pinion::sleep_for(std::chrono::milliseconds(ms));
  co_return ms;
}
Task<> nap_long() { co_await pinion::sleep_for(std::chrono::hours(1)); }
int cpus_of_this_process() {
  cpu_set_t set;
  return ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : -1;
}

template <class... Args>
ExitStatus run_and_join(Args&&... args) {
  Process process(std::forward<Args>(args)...);
  process.start();
  return process.join();
}

std::size_t open_descriptors() {
  std::size_t n = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    static_cast<void>(entry);
    ++n;
  }
  return n;
}

/// A name for a file that nobody has.
struct TemporaryName {
  TemporaryName() {
    char name[] = "/tmp/pinion-process-XXXXXX";
    const int fd = ::mkstemp(name);
    REQUIRE(fd >= 0);
    ::close(fd);
    path = name;
    ::unlink(name);
  }
  ~TemporaryName() { ::unlink(path.c_str()); }
  [[nodiscard]] bool exists() const { return std::filesystem::exists(path); }
  std::string path;
};

}  // namespace

TEST_CASE("the exit status is what the function returns, exits or dies with") {
  CHECK(run_and_join(nothing) == ExitStatus::exited(0));
  CHECK(run_and_join(code, 0) == ExitStatus::exited(0));
  CHECK(run_and_join(code, 41) == ExitStatus::exited(41));
  CHECK(run_and_join(leave, 7) == ExitStatus::exited(7));
  CHECK(run_and_join(leave, 0) == ExitStatus::exited(0));
  CHECK(run_and_join(raise_signal, SIGUSR1) == ExitStatus::signaled(SIGUSR1));
  CHECK(run_and_join(nap, 5) == ExitStatus::exited(5));
  CHECK(run_and_join([](int a, int b) { return a + b; }, 2, 3) == ExitStatus::exited(5));
}

TEST_CASE("arguments travel as those of a pool") {
  CHECK(run_and_join(sum_of, std::vector<int>(100'000, 0), std::make_unique<int>(9)) ==
        ExitStatus::exited(9));
}

TEST_CASE("an exception is exit code 1, and can be asked for") {
  Process process(fail, "from the process");
  CHECK(process.error() == nullptr);
  process.start();
  CHECK(process.join() == ExitStatus::exited(1));
  const auto error = process.error();
  REQUIRE(error != nullptr);
  CHECK_THROWS_AS(std::rethrow_exception(error), std::out_of_range);
  CHECK_THROWS_AS(std::rethrow_exception(error), pinion::RemoteError);

  Process fine(nothing);
  fine.start();
  fine.join();
  CHECK(fine.error() == nullptr);
}

TEST_CASE("what it says of itself before, while and after it runs") {
  Process process(wait_for_signal);
  CHECK(process.pid() == 0);
  CHECK_FALSE(process.alive());
  CHECK_FALSE(process.exit_status().has_value());
  CHECK_THROWS_AS(process.join(), std::logic_error);
  CHECK_THROWS_AS(process.terminate(), std::logic_error);
  process.start();
  CHECK_THROWS_AS(process.start(), std::logic_error);
  const pid_t pid = process.pid();
  CHECK(pid > 0);
  CHECK(pid != ::getpid());
  CHECK(::kill(pid, 0) == 0);
  CHECK(process.alive());
  CHECK_FALSE(process.exit_status().has_value());
  CHECK_FALSE(process.join(5ms).has_value());
  CHECK_THROWS_AS(process.close(), std::logic_error);
  process.terminate();
  CHECK(process.join(20s) == ExitStatus::signaled(SIGTERM));
  CHECK_FALSE(process.alive());
  CHECK(process.exit_status() == ExitStatus::signaled(SIGTERM));
  CHECK(process.pid() == pid);
  process.terminate();  // no effect
  process.kill();
  process.close();
  process.close();
  CHECK(process.exit_status() == ExitStatus::signaled(SIGTERM));
  CHECK(process.join() == ExitStatus::signaled(SIGTERM));
  CHECK_THROWS_AS(process.start(), std::logic_error);
}

TEST_CASE("SIGTERM is the function's to handle, SIGKILL is not") {
  Process process(ignore_terminations);
  process.start();
  process.terminate();  // maybe before it ignores that
  std::this_thread::sleep_for(20ms);
  process.terminate();
  process.kill();
  const ExitStatus status = process.join();
  CHECK((status == ExitStatus::signaled(SIGKILL) || status == ExitStatus::signaled(SIGTERM)));
}

TEST_CASE("one that is killed at any moment stays dead") {
  for (int i = 0; i < 15; ++i) {
    Process process(wait_for_signal);
    process.start();
    std::this_thread::sleep_for(std::chrono::microseconds(i * 20));
    process.kill();
    REQUIRE(process.join(20s) == ExitStatus::signaled(SIGKILL));
    REQUIRE(process.error() != nullptr);
  }
}

TEST_CASE("its end waits for the process; of a daemon, and during an exception, it kills it") {
  {
    const TemporaryName name;
    {
      Process process(create, name.path, 30);
      process.start();
    }
    CHECK(name.exists());
  }
  const auto begin = Clock::now();
  {
    Process process(ProcessOptions{.daemon = true}, wait_for_signal);
    process.start();
  }
  try {
    Process process(wait_for_signal);
    process.start();
    throw std::length_error("unwinding");
  } catch (const std::length_error&) {
  }
  CHECK(Clock::now() - begin < 30s);
  { const Process never_started(wait_for_signal); }
}

TEST_CASE("it leaves no descriptor and no child behind") {
  CHECK(run_and_join(nothing) == ExitStatus::exited(0));
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 3; ++i) {
    Process closed(code, 1);
    closed.start();
    closed.join();
    closed.close();
    CHECK(open_descriptors() == before);
    Process killed(wait_for_signal);
    killed.start();
    killed.kill();
  }
  CHECK(open_descriptors() == before);
  CHECK(checks::children().empty());
}

TEST_CASE("several at once, in a vector, moved") {
  std::vector<Process> processes;
  for (int i = 0; i < 4; ++i) processes.emplace_back(nap, 10 + i);
  for (Process& process : processes) process.start();
  for (int i = 0; i < 4; ++i) {
    CHECK(processes[static_cast<std::size_t>(i)].join() == ExitStatus::exited(10 + i));
  }
  Process moved(std::move(processes.front()));
  CHECK(moved.exit_status() == ExitStatus::exited(10));
  CHECK_THROWS_AS(processes.front().join(), std::logic_error);
}

TEST_CASE("processes are awaited in a loop") {
  auto all = []() -> Task<> {
    Process one(nap, 20);
    Process two(leave, 3);
    one.start();
    const ExitStatus second = co_await two;  // starts it
    CHECK(second == ExitStatus::exited(3));
    const auto both = co_await pinion::when_all(one.join_async(), two.join_async());
    CHECK(std::get<0>(both) == ExitStatus::exited(20));

    Process endless(nap_long);
    bool refused = false;
    try {
      (void)co_await endless.join_async();
    } catch (const std::logic_error&) {
      refused = true;  // it was not started
    }
    CHECK(refused);
    endless.start();
    bool expired = false;
    try {
      (void)co_await pinion::with_timeout(5ms, endless.join_async());
    } catch (const pinion::TaskTimeout&) {
      expired = true;
    }
    CHECK(expired);
    CHECK(endless.alive());
    endless.kill();
    const ExitStatus last = co_await endless;
    CHECK(last == ExitStatus::signaled(SIGKILL));
  };
  pinion::run(all());
}

TEST_CASE("it runs on all CPUs of its maker unless the options say otherwise") {
  const int here = cpus_of_this_process();
  CHECK(run_and_join(cpus_of_this_process) == ExitStatus::exited(here));
  const ProcessOptions bound{.placement = pinion::Placement()};
  CHECK(run_and_join(bound, cpus_of_this_process).value <= here);
}

TEST_CASE("an initializer runs first; its failure, and bad options, are the start's error") {
  const ProcessOptions options{.initializer = pinion::call(fail, "in the initializer")};
  Process process(options, nothing);
  CHECK(error_of([&] { process.start(); }).find("in the initializer") != std::string::npos);
  CHECK_FALSE(process.alive());
  for (const auto method : {pinion::StartMethod::thread, pinion::StartMethod::serial}) {
    CHECK_THROWS_AS(Process(ProcessOptions{.start_method = method}, nothing),
                    std::invalid_argument);
  }
}
