#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <dirent.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pinion/errors.hpp>
#include <pinion/io.hpp>
#include <pinion/process.hpp>
#include <pinion/sleep.hpp>
#include <pinion/task.hpp>
#include <pinion/when_all.hpp>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "lib/loop/child_defaults.hpp"
#include "lib/loop/run_task.hpp"
#include "lib/os/fd.hpp"

using namespace pinion;
using namespace std::chrono_literals;
using loop::Loop;
using loop::Run;
using loop::run_task;
using os::Fd;

namespace {

io::SpawnRequest shell(std::string script) {
  io::SpawnRequest request;
  request.argv = {"sh", "-c", std::move(script)};
  return request;
}

Task<io::ProcessExit> run_program(io::SpawnRequest request) {
  io::Process process = co_await io::spawn_process(std::move(request));
  co_return co_await io::wait_process(process);
}

Task<std::string> read_all(int fd) {
  std::string all;
  std::string piece(4096, '\0');
  for (;;) {
    const std::size_t n = co_await io::read(fd, std::as_writable_bytes(std::span(piece)));
    if (n == 0) co_return all;
    all.append(piece, 0, n);
  }
}

struct Output {
  std::string out, err;
  io::ProcessExit exit;
};

/// Runs a program with a pipe for each of its outputs, as the batch runner does.
Task<Output> capture(io::SpawnRequest request) {
  int out[2];
  int err[2];
  if (::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0) std::abort();
  const Fd out_end(out[0]);
  const Fd err_end(err[0]);
  Fd out_start(out[1]);
  Fd err_start(err[1]);
  request.stdout_fd = out_start.get();
  request.stderr_fd = err_start.get();
  io::Process process = co_await io::spawn_process(std::move(request));
  out_start.reset();
  err_start.reset();
  auto [o, e] = co_await when_all(read_all(out_end.get()), read_all(err_end.get()));
  const io::ProcessExit exit = co_await io::wait_process(process);
  co_return Output{std::move(o), std::move(e), exit};
}

template <class Check>
void on_each_backend(Check check) {
  for (const IoBackend kind : {IoBackend::poll, IoBackend::automatic}) {
    CAPTURE(kind == IoBackend::poll ? "poll" : "automatic");
    Loop loop(kind);
    check(loop);
  }
}

int error_of(Loop& loop, io::SpawnRequest request) {
  try {
    run_task(loop, run_program(std::move(request)));
  } catch (const std::system_error& error) {
    return error.code().value();
  }
  return 0;
}

std::size_t open_descriptors() {
  std::size_t n = 0;
  DIR* const list = ::opendir("/proc/self/fd");
  while (::readdir(list) != nullptr) ++n;
  ::closedir(list);
  return n;
}

bool has_children() { return ::waitpid(-1, nullptr, WNOHANG) == 0 || errno != ECHILD; }

template <class Body>
int in_child(Body body) {
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    ::alarm(30);
    ::_exit(body());
  }
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// Installs a filter: `call` fails with `error` where its first argument has one of `bits`.
void deny(long call, unsigned bits, int error) {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{std::size(code), code};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
    ::_exit(77);
}

// What the shell itself got, listed by a child of it; without the `:` it would become that child.
const char* const list_descriptors = "ls /proc/$$/fd; :";

}  // namespace

TEST_CASE("the exit code comes back") {
  on_each_backend([](Loop& loop) {
    const io::ProcessExit good = run_task(loop, run_program(shell("exit 0")));
    CHECK(good.success());
    const io::ProcessExit bad = run_task(loop, run_program(shell("exit 42")));
    CHECK(bad.how == io::ProcessExit::How::exited);
    CHECK(bad.code == 42);
    CHECK_FALSE(bad.success());
    CHECK_FALSE(has_children());
  });
}

TEST_CASE("a signal that killed the child is told") {
  on_each_backend([](Loop& loop) {
    const io::ProcessExit exit = run_task(loop, run_program(shell("kill -9 $$")));
    CHECK(exit.how == io::ProcessExit::How::signaled);
    CHECK(exit.signal == SIGKILL);
    CHECK_FALSE(exit.core_dumped);
    CHECK_FALSE(exit.success());
  });
}

TEST_CASE("waiting again gives the same answer") {
  on_each_backend([](Loop& loop) {
    auto twice = []() -> Task<bool> {
      io::Process process = co_await io::spawn_process(shell("exit 3"));
      const io::ProcessExit first = co_await io::wait_process(process);
      const io::ProcessExit second = co_await io::wait_process(process);
      co_return first.code == 3 && second.code == 3 && process.pidfd() == -1;
    };
    CHECK(run_task(loop, twice()));
  });
}

TEST_CASE("what cannot be started is an error with the kernel's number") {
  Loop loop(IoBackend::automatic);
  const std::size_t before = open_descriptors();
  io::SpawnRequest request;
  request.argv = {"/no/such/program"};
  CHECK(error_of(loop, request) == ENOENT);
  request.argv = {"no-such-program-anywhere"};
  CHECK(error_of(loop, request) == ENOENT);
  request.argv = {""};
  CHECK(error_of(loop, request) == ENOENT);
  request.argv = {"/etc/passwd"};
  CHECK(error_of(loop, request) == EACCES);
  request.argv = {"true"};
  request.search_path = false;
  CHECK(error_of(loop, request) == ENOENT);
  request = shell("true");
  request.working_directory = "/no/such/folder";
  CHECK(error_of(loop, request) == ENOENT);
  CHECK_THROWS_WITH_AS(run_task(loop, run_program(request)),
                       "entering the working directory /no/such/folder for sh: "
                       "No such file or directory",
                       std::system_error);
  request = shell("true");
  request.stdout_fd = 987'654;
  CHECK(error_of(loop, request) == EBADF);
  CHECK(open_descriptors() == before);
  CHECK_FALSE(has_children());
}

TEST_CASE("an empty argv and texts with a NUL are refused") {
  Loop loop(IoBackend::automatic);
  CHECK_THROWS_AS(run_task(loop, run_program(io::SpawnRequest{})), std::invalid_argument);
  CHECK_THROWS_AS(run_task(loop, run_program(shell(std::string("a\0b", 3)))),
                  std::invalid_argument);
}

TEST_CASE("both outputs are read at once, however long they are") {
  on_each_backend([](Loop& loop) {
    const Output got = run_task(
        loop, capture(shell("seq 1 60000 >&2; echo out; seq 1 60000 >&2; echo end; exit 5")));
    CHECK(got.out == "out\nend\n");
    CHECK(got.err.size() == 2 * 348'894);
    CHECK(got.exit.code == 5);
  });
}

TEST_CASE("arguments, environment, working directory and input arrive") {
  on_each_backend([](Loop& loop) {
    io::SpawnRequest request;
    request.argv = {"sh", "-c", "echo $1; echo $PINION_TEST; pwd; cat", "sh", "a b  c"};
    request.environment = std::vector<std::string>{"PINION_TEST=yes", "PATH=/usr/bin:/bin"};
    request.working_directory = "/usr";
    int input[2];
    REQUIRE(::pipe2(input, O_CLOEXEC) == 0);
    REQUIRE(::write(input[1], "typed", 5) == 5);
    ::close(input[1]);
    const Fd in(input[0]);
    request.stdin_fd = in.get();
    CHECK(run_task(loop, capture(request)).out == "a b c\nyes\n/usr\ntyped");
  });
}

TEST_CASE("without one, the input is empty and the environment is our own") {
  Loop loop(IoBackend::automatic);
  ::setenv("PINION_TEST_OWN", "mine", 1);
  CHECK(run_task(loop, capture(shell("cat; echo $PINION_TEST_OWN"))).out == "mine\n");
  ::unsetenv("PINION_TEST_OWN");
}

TEST_CASE("descriptors may be given crosswise") {
  CHECK(in_child([] {
          int out[2];
          if (::pipe2(out, O_CLOEXEC) != 0) return 1;
          // 1 and 2 of this process: two ends of pipes that the child gets the other way round.
          int err[2];
          if (::pipe2(err, O_CLOEXEC) != 0) return 2;
          ::dup2(out[1], 1);
          ::dup2(err[1], 2);
          io::SpawnRequest request = shell("printf one; printf two >&2");
          request.stdout_fd = 2;
          request.stderr_fd = 1;
          Loop own(IoBackend::poll);
          if (!run_task(own, run_program(request)).success()) return 3;
          char text[8] = {};
          if (::read(out[0], text, 7) != 3 || std::string(text) != "two") return 4;
          if (::read(err[0], text, 7) != 3 || std::string(text) != "one") return 5;
          return 0;
        }) == 0);
}

TEST_CASE("a child gets descriptors 0, 1 and 2 and no other") {
  Loop loop(IoBackend::automatic);
  const Fd leaky(::open("/dev/null", O_RDONLY));  // without close-on-exec, as a host may leave one
  const Fd high(::fcntl(leaky.get(), F_DUPFD, 500));
  CHECK(run_task(loop, capture(shell(list_descriptors))).out == "0\n1\n2\n");
  CHECK(::fcntl(leaky.get(), F_GETFD) == 0);  // ours are as they were
}

TEST_CASE("the same where close_range and CLONE_PIDFD are refused") {
  for (const bool old_clone : {false, true}) {
    const int status = in_child([old_clone] {
      const int leaky = ::open("/dev/null", O_RDONLY);
      if (::fcntl(leaky, F_DUPFD, 500) != 500) return 1;
      deny(SYS_close_range, 3, ENOSYS);
      if (old_clone) deny(SYS_clone, CLONE_PIDFD, EINVAL);
      Loop loop(IoBackend::automatic);
      const Output got = run_task(loop, capture(shell(list_descriptors)));
      if (got.out != "0\n1\n2\n") return 2;
      return got.exit.success() ? 0 : 3;
    });
    if (status == 77)
      MESSAGE("skipped: seccomp filters are not allowed here");
    else
      CHECK(status == 0);
  }
}

TEST_CASE("a process group of its own is signalled as a whole") {
  on_each_backend([](Loop& loop) {
    auto check = []() -> Task<int> {
      int out[2];
      if (::pipe2(out, O_CLOEXEC) != 0) co_return 1;
      const Fd end(out[0]);
      Fd start(out[1]);
      io::SpawnRequest request = shell("sleep 1000 & sleep 1000 & echo ready; wait");
      request.process_group = true;
      request.stdout_fd = start.get();
      io::Process process = co_await io::spawn_process(std::move(request));
      start.reset();
      std::string ready(6, '\0');
      (void)co_await io::read(end.get(), std::as_writable_bytes(std::span(ready)));
      if (::getpgid(process.pid()) != process.pid()) co_return 2;
      process.kill_group(SIGTERM);
      const io::ProcessExit exit = co_await io::wait_process(process);
      if (exit.signal != SIGTERM) co_return 3;
      // The end of the pipe: the grandchildren, which had it too, are gone.
      if (!(co_await read_all(end.get())).empty()) co_return 4;
      process.kill(SIGKILL);  // it was reaped: nothing happens
      process.kill_group(SIGKILL);
      co_return 0;
    };
    CHECK(run_task(loop, check()) == 0);
    auto no_group = []() -> Task<> {
      io::Process process = co_await io::spawn_process(shell("exit 0"));
      co_await io::wait_process(process);
      process.kill_group(SIGTERM);
    };
    CHECK_THROWS_AS(run_task(loop, no_group()), std::logic_error);
  });
}

TEST_CASE("usage is told for each child") {
  Loop loop(IoBackend::automatic);
  const io::ProcessExit busy =
      run_task(loop, run_program(shell("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done")));
  const auto microseconds = [](const timeval& t) { return t.tv_sec * 1'000'000L + t.tv_usec; };
  CHECK(microseconds(busy.usage.ru_utime) > 5'000);
  CHECK(microseconds(busy.usage.ru_utime) < 20'000'000);
  CHECK(busy.usage.ru_maxrss > 500);  // KiB
  CHECK(busy.usage.ru_maxrss < 200'000);
}

TEST_CASE("a child has an empty signal mask and the host's dispositions") {
  const auto old_int = std::signal(SIGINT, SIG_IGN);
  const auto old_pipe = std::signal(SIGPIPE, SIG_IGN);
  const auto old_hup = std::signal(SIGHUP, SIG_IGN);  // as under nohup: stays ignored
  const auto old_user = std::signal(SIGUSR1, [](int) {});
  sigset_t some;
  sigset_t before;
  sigemptyset(&some);
  sigaddset(&some, SIGUSR2);
  ::pthread_sigmask(SIG_BLOCK, &some, &before);
  rlimit own{};
  ::getrlimit(RLIMIT_NOFILE, &own);
  loop::ChildDefaults defaults;
  defaults.restore_sigint = true;
  defaults.nofile = rlimit{99, own.rlim_max};
  loop::set_child_defaults(defaults);
  Loop loop(IoBackend::automatic);
  const std::string got =
      run_task(loop, capture(shell("grep -E 'Sig(Blk|Ign)' /proc/self/status; ulimit -n"))).out;
  CHECK(got == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000001\n99\n");
  rlimit after{};
  ::getrlimit(RLIMIT_NOFILE, &after);
  CHECK(after.rlim_cur == own.rlim_cur);
  sigset_t mask;
  ::pthread_sigmask(SIG_SETMASK, &before, &mask);
  CHECK(sigismember(&mask, SIGUSR2) == 1);  // ours is as it was
  CHECK(sigismember(&mask, SIGTERM) == 0);
  loop::set_child_defaults({});
  std::signal(SIGINT, old_int);
  std::signal(SIGPIPE, old_pipe);
  std::signal(SIGHUP, old_hup);
  std::signal(SIGUSR1, old_user);
}

TEST_CASE("a cancelled wait leaves the process running") {
  on_each_backend([](Loop& loop) {
    auto wait_for_it = [](io::Process& process) -> Task<> { co_await io::wait_process(process); };
    io::Process process = run_task(loop, []() -> Task<io::Process> {
      co_return co_await io::spawn_process(shell("exec sleep 1000"));
    }());
    Run run(loop, wait_for_it(process));
    while (loop.run_ready(8)) loop.poll();
    loop.cancel(run.root());
    while (!run.done()) run.step();
    CHECK_THROWS_AS(run.take(), Cancelled);
    CHECK(::kill(process.pid(), 0) == 0);
    process.kill(SIGKILL);
    run_task(loop, wait_for_it(process));
    CHECK(process.exit()->signal == SIGKILL);
  });
}

TEST_CASE("a child whose exit status was taken by somebody else is unknown, not a success") {
  Loop loop(IoBackend::automatic);
  auto stolen = []() -> Task<io::ProcessExit> {
    io::Process process = co_await io::spawn_process(shell("exit 0"));
    ::waitpid(process.pid(), nullptr, 0);
    co_return co_await io::wait_process(process);
  };
  const io::ProcessExit exit = run_task(loop, stolen());
  CHECK(exit.how == io::ProcessExit::How::unknown);
  CHECK_FALSE(exit.success());
}

TEST_CASE("a dropped process goes on, and is reaped at a later occasion") {
  Loop loop(IoBackend::automatic);
  const std::size_t before = open_descriptors();
  const pid_t pid = run_task(loop, []() -> Task<pid_t> {
    io::Process process = co_await io::spawn_process(shell("exec sleep 0.05"));
    co_return process.pid();
  }());
  CHECK(::kill(pid, 0) == 0);
  for (int i = 0; i < 200 && ::kill(pid, 0) == 0; ++i) {
    std::this_thread::sleep_for(10ms);
    CHECK(run_task(loop, run_program(shell("exit 0"))).success());
  }
  CHECK(::kill(pid, 0) != 0);
  CHECK_FALSE(has_children());
  CHECK(open_descriptors() <= before + 2);  // the backend's own
}

TEST_CASE("300 children, one after the other, leave nothing behind") {
  on_each_backend([](Loop& loop) {
    io::SpawnRequest request;
    request.argv = {"/bin/true"};
    CHECK(run_task(loop, run_program(request)).success());
    const std::size_t before = open_descriptors();
    auto many = [request]() -> Task<int> {
      int good = 0;
      for (int i = 0; i < 300; ++i) good += (co_await run_program(request)).success() ? 1 : 0;
      co_return good;
    };
    CHECK(run_task(loop, many()) == 300);
    CHECK(open_descriptors() == before);
    CHECK_FALSE(has_children());
  });
}

TEST_CASE("children run at once") {
  on_each_backend([](Loop& loop) {
    const std::int64_t start = os::now_ns();
    std::vector<Task<io::ProcessExit>> children;
    for (int i = 0; i < 20; ++i) children.push_back(run_program(shell("exec sleep 0.3")));
    for (const io::ProcessExit& exit : run_task(loop, when_all(std::move(children))))
      CHECK(exit.success());
    CHECK(os::now_ns() - start < 3'000'000'000);
  });
}

TEST_CASE("starting a process outside a loop is a logic_error") {
  auto first_await = []() -> detail::Detached {
    try {
      (void)co_await io::spawn_process(shell("exit 0"));
    } catch (const std::logic_error&) {
      co_return;
    }
    FAIL_CHECK("nothing was thrown");
  };
  first_await().release().resume();
}
