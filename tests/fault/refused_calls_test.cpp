// System calls that containers refuse: the pool works the same without them (P11, F25).
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>

#include "contract/checks.hpp"
#include "fault/refuse.hpp"

using namespace checks;

namespace {

int same(int x) { return x; }
void die() { std::raise(SIGKILL); }
pinion::Task<int> nap(int x) {
  co_await pinion::sleep_for(1ms);
  co_return x;
}
pinion::Task<std::string> read_pipe() {
  int ends[2];
  if (::pipe(ends) != 0) co_return "no pipe";
  if (::write(ends[1], "hello", 5) != 5) co_return "no write";
  std::vector<std::byte> buffer(5);
  const auto n = co_await pinion::io::read(ends[0], std::span<std::byte>(buffer));
  ::close(ends[0]);
  ::close(ends[1]);
  co_return std::string(reinterpret_cast<const char*>(buffer.data()), static_cast<std::size_t>(n));
}

/// What a pool is good for; 0 if all of it works.
int use_pool(const char* backend) {
  pinion::Pool pool(pinion::PoolOptions{.processes = 2});
  if (pool.map(same, numbers(1000)) != numbers(1000)) return 1;
  if (pool.map(nap, numbers(20)) != numbers(20)) return 2;
  if (pool.apply(read_pipe) != "hello") return 3;
  if (error_of([&] { pool.apply(die); }).empty()) return 4;
  if (pool.apply(same, 5) != 5) return 5;
  const pinion::TaskOptions limits{.timeout = 20ms, .grace = 10ms};
  try {
    pool.apply(limits, [] { std::this_thread::sleep_for(10s); });
    return 6;
  } catch (const pinion::TaskTimeout&) {
  }
  if (backend != nullptr) {
    for (int i = 0; i < 20; ++i) pool.apply(nap, i);
    for (const auto& worker : pool.workers()) {
      if (!worker.io_backend.empty() && worker.io_backend != backend) return 7;
    }
  }
  if (pool.stats().late_wakeups != 0) return 9;
  pool.close();
  return pool.join(10s) ? 0 : 8;
}

/// `use_pool` in a process of its own, where `call` fails with `error`.
int run_refused(long call, int error, const char* backend) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    int code = 98;
    try {
      code = refuse(call, error) ? use_pool(backend) : 99;
    } catch (const std::exception& e) {
      std::fprintf(stderr, "%s\n", e.what());
    }
    ::_exit(code);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

TEST_CASE_FIXTURE(NothingLeft, "io_uring refused: the poll backend serves") {
  for (const int error : {EPERM, ENOSYS, EOPNOTSUPP}) {
    CAPTURE(error);
    CHECK(run_refused(SYS_io_uring_setup, error, "poll") == 0);
  }
}

TEST_CASE_FIXTURE(NothingLeft, "calls that are only better than others may be refused") {
  struct Call {
    const char* name;
    long number;
  };
  const Call calls[] = {
      {"epoll_pwait2", 441}, {"membarrier", SYS_membarrier},
      {"close_range", 436},  {"get_mempolicy", SYS_get_mempolicy},
      {"clone3", 435},
  };
  for (const Call& call : calls) {
    for (const int error : {EPERM, ENOSYS}) {
      if (call.number == 435 && error == EPERM) continue;  // then no thread can be made at all
      CAPTURE(call.name);
      CAPTURE(error);
      CHECK(run_refused(call.number, error, nullptr) == 0);
    }
  }
}
