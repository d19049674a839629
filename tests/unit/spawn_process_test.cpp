#include <doctest/doctest.h>

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "lib/loop/child_defaults.hpp"
#include "tests/support/skipped.hpp"
#include "tests/unit/child.hpp"
#include "tests/unit/process_helpers.hpp"

using namespace pinion;
using namespace pinion::tests;
using loop::Loop;
using loop::run_task;
using os::Fd;

namespace {

// What the shell itself got, listed by a child of it; without the `:` it would become that child.
const char* const list_descriptors = "ls /proc/$$/fd; :";

}  // namespace

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

TEST_CASE("the file to execute may be another than the program's name") {
  on_each_backend([](Loop& loop) {
    io::SpawnRequest request;
    request.argv = {"a name", "-c", "echo \"$0\""};
    request.program = "/bin/sh";
    CHECK(run_task(loop, capture(request)).out == "a name\n");
    request.program = "sh";  // nothing is looked up
    CHECK(error_of(loop, request) == ENOENT);
    request.program = std::string("/bin/s\0h", 8);
    CHECK_THROWS_AS(run_task(loop, run_program(request)), std::invalid_argument);
  });
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
    if (status == not_allowed)
      checks::skip("seccomp filters are not allowed here");
    else
      CHECK(status == 0);
  }
}

TEST_CASE("a child has an empty signal mask and the host's dispositions") {
  // A shell's background job begins with some ignored; here it is to be known which.
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction now {};
    if (::sigaction(signal, nullptr, &now) == 0 && now.sa_handler == SIG_IGN) {
      std::signal(signal, SIG_DFL);
    }
  }
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
