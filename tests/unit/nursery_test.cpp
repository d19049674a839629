#include <dirent.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "lib/os/clock.hpp"
#include "lib/os/pidfd.hpp"
#include "lib/start/nursery.hpp"
#include "tests/unit/child.hpp"

using namespace pinion;
using namespace pinion::tests;
using start::Birth;
using start::BirthFds;
using start::Newborn;
using start::Nursery;

namespace {

constexpr std::int64_t second = 1'000'000'000;

/// What a worker of these tests does, told by the number of its birth.
enum Deed : std::uint32_t {
  exit_42,
  raise_term,
  wait_for_ever,
  tell_parent,
  use_inherited,
  look_at_signals,
  write_out
};

int inherited_fd = -1;  // set before the nursery is made

int unusable_as_it_should_be(const BirthFds& fds) {
  char byte = 0;
  if (::read(inherited_fd, &byte, 1) != -1 || errno != EBADF) return 1;
  if (::write(inherited_fd, &byte, 1) != -1 || errno != EBADF) return 2;
  if (::fcntl(inherited_fd, F_GETFD) == -1) return 3;  // the number stays taken
  const int fresh = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (fresh == inherited_fd) return 4;
  for (const int fd : fds.fd) {
    const std::uint64_t one = 1;
    if (::write(fd, &one, sizeof one) != sizeof one) return 5;
  }
  return 0;
}

int signals_as_they_should_be() {
  const auto handler = [](int signal) {
    struct sigaction action {};
    ::sigaction(signal, nullptr, &action);
    return action.sa_handler;
  };
  if (handler(SIGUSR1) != SIG_DFL) return 1;
  if (handler(SIGHUP) != SIG_IGN) return 2;  // as under nohup
  if (handler(SIGINT) != SIG_IGN || handler(SIGPIPE) != SIG_IGN) return 3;
  if (handler(SIGTERM) != SIG_DFL) return 4;
  sigset_t mask;
  ::sigprocmask(SIG_SETMASK, nullptr, &mask);
  for (int signal = 1; signal < NSIG; ++signal) {
    if (sigismember(&mask, signal) == 1) return 5;
  }
  return 0;
}

int worker_main(const Birth& birth, const BirthFds& fds) {
  switch (birth.worker) {
    case exit_42:
      return 42;
    case raise_term:
      ::raise(SIGTERM);
      return 1;
    case wait_for_ever:
      for (;;) ::pause();
    case tell_parent:
      return ::getppid() == birth.manager && ::getpid() == ::gettid() ? 0 : 1;
    case use_inherited:
      return unusable_as_it_should_be(fds);
    case look_at_signals:
      return signals_as_they_should_be();
    case write_out:
      std::printf("worker ");
      std::fflush(stdout);
      return 0;
    default:
      return 99;
  }
}

/// Five eventfds, as a birth passes them.
struct Passed {
  Passed() {
    for (int& fd : fds.fd) fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  }
  ~Passed() {
    for (const int fd : fds.fd) ::close(fd);
  }
  Passed(const Passed&) = delete;
  Passed& operator=(const Passed&) = delete;
  BirthFds fds{};
};

Newborn make(Nursery& nursery, Deed deed, const BirthFds& fds) {
  Birth birth;
  birth.worker = deed;
  birth.manager = ::getpid();
  return nursery.make(birth, fds, os::now_ns() + 10 * second);
}

ExitStatus end_of(const Newborn& worker) {
  if (!os::wait_for_exit(worker.pidfd.get(), os::now_ns() + 10 * second)) return ExitStatus{};
  return os::reap(worker.pidfd.get()).value_or(ExitStatus{});
}

std::size_t descriptors(pid_t pid) {
  std::size_t n = 0;
  DIR* const list = ::opendir(("/proc/" + std::to_string(pid) + "/fd").c_str());
  while (list != nullptr && ::readdir(list) != nullptr) ++n;
  if (list != nullptr) ::closedir(list);
  return n;
}

/// It closes what it was passed after it has answered.
std::size_t descriptors_at_rest(pid_t pid) {
  std::size_t before = 0;
  std::size_t now = descriptors(pid);
  while (before != now) {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    before = std::exchange(now, descriptors(pid));
  }
  return now;
}

bool runs(const Newborn& worker) {
  return !os::wait_for_exit(worker.pidfd.get(), os::now_ns() + 20'000'000);
}

}  // namespace

TEST_CASE("a worker is our child, and its exact end is told") {
  Nursery nursery(worker_main);
  const Passed passed;
  const Newborn leaves = make(nursery, exit_42, passed.fds);
  CHECK(end_of(leaves) == ExitStatus::exited(42));
  // A thread id that was left over from the nursery would kill that one.
  const Newborn killed = make(nursery, raise_term, passed.fds);
  CHECK(end_of(killed) == ExitStatus::signaled(SIGTERM));
  const Newborn child = make(nursery, tell_parent, passed.fds);
  CHECK(child.pid != nursery.pid());
  CHECK(end_of(child) == ExitStatus::exited(0));
}

TEST_CASE("what was inherited cannot be used in a worker, what was passed can") {
  const os::Fd file(::open("/dev/zero", O_RDWR | O_CLOEXEC));
  REQUIRE(file.get() > 2);
  inherited_fd = file.get();
  Nursery nursery(worker_main);
  const Passed passed;
  const Newborn worker = make(nursery, use_inherited, passed.fds);
  CHECK(end_of(worker) == ExitStatus::exited(0));
  for (const int fd : passed.fds.fd) {
    std::uint64_t count = 0;
    CHECK(::read(fd, &count, sizeof count) == sizeof count);
    CHECK(count == 1);
  }
  char byte = 0;
  CHECK(::read(file.get(), &byte, 1) == 1);  // ours is as it was
}

TEST_CASE("the host's signal handlers and mask do not reach a worker") {
  const auto old_usr1 = std::signal(SIGUSR1, [](int) {});
  const auto old_hup = std::signal(SIGHUP, SIG_IGN);
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR2);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  {
    Nursery nursery(worker_main);
    const Passed passed;
    const Newborn worker = make(nursery, look_at_signals, passed.fds);
    CHECK(end_of(worker) == ExitStatus::exited(0));
  }
  sigset_t now;
  ::pthread_sigmask(SIG_SETMASK, &before, &now);
  CHECK(sigismember(&now, SIGUSR2) == 1);  // ours is as it was
  std::signal(SIGUSR1, old_usr1);
  std::signal(SIGHUP, old_hup);
}

TEST_CASE("what the host has printed but not flushed is printed once") {
  char path[] = "/tmp/pinion-nursery-XXXXXX";
  const os::Fd file(::mkstemp(path));
  ::unlink(path);
  CHECK(in_child([&] {
          ::dup2(file.get(), 1);
          std::printf("host ");
          Nursery nursery(worker_main);
          const Passed passed;
          for (int i = 0; i < 2; ++i) {
            const Newborn worker = make(nursery, write_out, passed.fds);
            if (end_of(worker) != ExitStatus::exited(0)) return 1;
          }
          std::fflush(stdout);
          return 0;
        }) == 0);
  std::array<char, 100> text{};
  const ssize_t n = ::pread(file.get(), text.data(), text.size(), 0);
  CHECK(std::string(text.data(), static_cast<std::size_t>(n)) == "worker worker host ");
}

TEST_CASE("100 births leave no descriptor behind, here or in the nursery") {
  Nursery nursery(worker_main);
  const Passed passed;
  (void)end_of(make(nursery, exit_42, passed.fds));
  const std::size_t here = descriptors(::getpid());
  const std::size_t there = descriptors_at_rest(nursery.pid());
  CHECK(there > 0);
  for (int i = 0; i < 100; ++i) {
    const Newborn worker = make(nursery, exit_42, passed.fds);
    REQUIRE(end_of(worker) == ExitStatus::exited(42));
  }
  CHECK(descriptors(::getpid()) == here);
  CHECK(descriptors_at_rest(nursery.pid()) == there);
}

TEST_CASE("workers go on when the nursery ends, and no more are made") {
  const Passed passed;
  Newborn worker;
  {
    Nursery nursery(worker_main);
    worker = make(nursery, wait_for_ever, passed.fds);
    ::kill(nursery.pid(), SIGKILL);
    pollfd hung_up{nursery.socket(), 0, 0};
    CHECK(::poll(&hung_up, 1, 1000) == 1);
    CHECK((hung_up.revents & POLLHUP) != 0);
    CHECK_THROWS_AS(make(nursery, exit_42, passed.fds), std::system_error);
    CHECK(runs(worker));
  }
  CHECK(runs(worker));
  os::send_signal(worker.pidfd.get(), SIGKILL);
  CHECK(end_of(worker) == ExitStatus::signaled(SIGKILL));
}

TEST_CASE("a nursery that does not answer is waited for no longer than asked") {
  const Passed passed;
  Nursery nursery(worker_main);
  ::kill(nursery.pid(), SIGSTOP);
  Birth birth;
  birth.worker = exit_42;
  birth.manager = ::getpid();
  const std::int64_t begin = os::now_ns();
  try {
    nursery.make(birth, passed.fds, begin + 30'000'000);
    FAIL("it must throw");
  } catch (const std::system_error& error) {
    CHECK(error.code().value() == ETIMEDOUT);
  }
  CHECK(os::now_ns() - begin >= 30'000'000);
  CHECK(os::now_ns() - begin < second);
  ::kill(nursery.pid(), SIGKILL);
}

TEST_CASE("an answer that came too late is not taken for the next worker's") {
  const Passed passed;
  Nursery nursery(worker_main);
  ::kill(nursery.pid(), SIGSTOP);
  Birth birth;
  birth.worker = exit_42;
  birth.manager = ::getpid();
  CHECK_THROWS_AS(nursery.make(birth, passed.fds, os::now_ns() + 10'000'000), std::system_error);
  ::kill(nursery.pid(), SIGCONT);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  try {
    const Newborn next = make(nursery, raise_term, passed.fds);
    CHECK(end_of(next) == ExitStatus::signaled(SIGTERM));
  } catch (const std::system_error&) {
    // It may refuse to make any more, as a nursery that has ended does.
  }
}

TEST_CASE("the nursery is gone when its owner is, and leaves no zombie") {
  pid_t pid = 0;
  {
    const Nursery nursery(worker_main);
    pid = nursery.pid();
    CHECK(::kill(pid, 0) == 0);
  }
  CHECK(::kill(pid, 0) == -1);
  CHECK(errno == ESRCH);
}

TEST_CASE("workers and nursery die with the process that made them, within a second") {
  std::array<int, 2> pipe{};
  REQUIRE(::pipe2(pipe.data(), O_CLOEXEC) == 0);
  const os::Fd out(pipe[0]);
  os::Fd in(pipe[1]);
  std::fflush(nullptr);
  const pid_t manager = ::fork();
  REQUIRE(manager >= 0);
  if (manager == 0) {
    ::alarm(30);
    Nursery nursery(worker_main);
    const Passed passed;
    const Newborn one = make(nursery, wait_for_ever, passed.fds);
    const Newborn two = make(nursery, wait_for_ever, passed.fds);
    const std::array<pid_t, 3> pids{nursery.pid(), one.pid, two.pid};
    (void)!::write(in.get(), pids.data(), sizeof pids);
    for (;;) ::pause();
  }
  std::array<pid_t, 3> pids{};
  REQUIRE(::read(out.get(), pids.data(), sizeof pids) == sizeof pids);
  std::array<os::Fd, 3> pidfds;
  for (std::size_t i = 0; i < 3; ++i) pidfds[i] = os::open_pidfd(pids[i]);
  for (const auto& pidfd : pidfds) CHECK_FALSE(os::wait_for_exit(pidfd.get(), 0));
  ::kill(manager, SIGKILL);
  const std::int64_t deadline = os::now_ns() + second;
  for (const auto& pidfd : pidfds) CHECK(os::wait_for_exit(pidfd.get(), deadline));
  ::waitpid(manager, nullptr, 0);
}

TEST_CASE("workers die with the thread that made the nursery") {
  const Passed passed;
  Newborn worker;
  std::thread([&] {
    // Not ended by its destructor: it goes because its thread does.
    auto* const nursery = new Nursery(worker_main);
    worker = make(*nursery, wait_for_ever, passed.fds);
    CHECK(runs(worker));
    ::kill(nursery->pid(), SIGKILL);
    delete nursery;
  }).join();
  CHECK(os::wait_for_exit(worker.pidfd.get(), os::now_ns() + second));
  CHECK(end_of(worker) == ExitStatus::signaled(SIGKILL));
}
