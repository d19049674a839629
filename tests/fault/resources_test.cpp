// Every resource that a pool asks the kernel for is refused: once, at each call in turn, and then
// always, while the pool is made, while it works and while it replaces a worker. It must go on, or
// say what is missing; it must neither hang nor crash nor leave anything.
#include <doctest/doctest.h>
#include <sys/syscall.h>

#include <set>

#include "fault/pool_life.hpp"
#include "fault/syscall_faults.hpp"
#include "lib/topology/plan.hpp"
#include "support/short_form.hpp"

using namespace checks;
using namespace checks::life;

namespace {

struct Refusal {
  const char* name;
  std::vector<int> calls;
  int error;
};

const std::vector<Refusal> refusals{
    {"memfd_create", {SYS_memfd_create}, EMFILE},
    {"ftruncate", {SYS_ftruncate}, ENOMEM},
    {"fallocate", {SYS_fallocate}, ENOSPC},
    {"mmap", {SYS_mmap}, ENOMEM},
    {"mprotect", {SYS_mprotect}, ENOMEM},
    {"madvise", {SYS_madvise}, EAGAIN},
    {"fcntl", {SYS_fcntl}, EMFILE},
    {"clone", {SYS_clone, SYS_clone3, SYS_fork, SYS_vfork}, EAGAIN},
    {"eventfd2", {SYS_eventfd2}, EMFILE},
    {"epoll_create1", {SYS_epoll_create1}, EMFILE},
    {"epoll_ctl", {SYS_epoll_ctl}, ENOMEM},
    {"socketpair", {SYS_socketpair}, ENFILE},
    {"sendmsg", {SYS_sendmsg}, ENOBUFS},
    {"recvmsg", {SYS_recvmsg}, ENOMEM},
    {"io_uring_setup", {SYS_io_uring_setup}, ENOMEM},
    {"io_uring_enter", {SYS_io_uring_enter}, EAGAIN},
    {"membarrier", {SYS_membarrier}, EPERM},
    {"sched_setaffinity", {SYS_sched_setaffinity}, EINVAL},
    {"prctl", {SYS_prctl}, EINVAL},
    {"getrandom", {SYS_getrandom}, EAGAIN},
    {"pidfd_send_signal", {SYS_pidfd_send_signal}, EPERM},
    {"prlimit64", {SYS_prlimit64}, EPERM},
};

int passed = 0;
int failed = 0;

/// One run; false where it went wrong, which is printed.
bool judge(const char* name, const Fault& fault, FaultRun& run) {
  const FaultOutcome& outcome = run.outcome();
  std::string wrong;
  if (outcome.hung) wrong = "it hung";
  if (outcome.status != 0 && !outcome.hung) wrong = "it ended with " + status_text(outcome.status);
  if (wrong.empty() && holds(outcome.said, "LEFT")) wrong = "something was left";
  if (wrong.empty() && !begins(outcome.said, "ok") && !is_typed(outcome.said)) {
    wrong = "that is no typed error";
  }
  if (wrong.empty() && holds(outcome.said, "account")) wrong = "the account does not agree";
  if (!living_children().empty()) wrong += ", and left" + living_children();
  end_leftovers(run.manager());
  if (wrong.empty()) return true;
  std::printf("  %s at %llu (in %s): %s: %s\n", name, static_cast<unsigned long long>(fault.nth),
              outcome.where.c_str(), wrong.c_str(), outcome.said.c_str());
  return false;
}

bool verbose() { return std::getenv("PINION_TEST_VERBOSE") != nullptr; }

/// Each call in turn. One line.
void each_call(const Refusal& refusal) {
  int clean = 0;
  int told = 0;
  int wrong = 0;
  std::set<std::string> texts;
  const char* from = std::getenv("PINION_TEST_NTH");
  std::uint64_t nth = from != nullptr ? std::strtoull(from, nullptr, 10) : 1;
  for (;; ++nth) {
    Fault fault;
    fault.calls = refusal.calls;
    fault.nth = nth;
    fault.error = refusal.error;
    FaultRun run(fault, [](Report& report) { tell(report, live); });
    REQUIRE(run.outcome().listened);
    if (!judge(refusal.name, fault, run)) {
      ++wrong;
      if (wrong > 5) break;
    }
    if (begins(run.outcome().said, "ok")) {
      ++clean;
    } else {
      ++told;
      texts.insert(run.outcome().said);
    }
    if (verbose() && run.outcome().reached) {
      std::printf("    %s %llu in %s: %s\n", refusal.name, static_cast<unsigned long long>(nth),
                  run.outcome().where.c_str(), run.outcome().said.substr(0, 200).c_str());
    }
    if (!run.outcome().reached) break;
    // What a call does late in the pool's life it does again and again.
    if (nth >= 60) nth += nth / 10;
    if (short_form()) nth += nth / 2;
  }
  std::printf("%s %s: up to call %llu: %d runs clean, %d with a typed error, %d wrong\n",
              refusal.name, ::strerrorname_np(refusal.error),
              static_cast<unsigned long long>(nth - 1), clean, told, wrong);
  for (const std::string& text : texts) std::printf("    %s\n", text.substr(0, 220).c_str());
  std::fflush(stdout);
  ++(wrong == 0 ? passed : failed);
  CHECK_MESSAGE(wrong == 0, std::string(refusal.name));
}

/// From some moment on, every call fails: at the start, and from the first death on.
std::string starve(Report& report) {
  pinion::Pool pool(2U);
  use(pool);
  const auto kill_all = [&] {
    for (const pinion::WorkerInfo& worker : pool.workers()) {
      if (worker.pid != 0) ::kill(worker.pid, SIGKILL);
    }
  };
  report.stage = 1;
  ::kill(pool.workers()[0].pid, SIGKILL);
  const auto survivor = pool.apply_async(square, 5);
  if (!survivor.wait(5s)) return "the worker that lives does not answer";
  kill_all();
  const auto result = pool.apply_async(square, 6);
  if (!result.wait(8s)) return "a task without any worker never ended";
  try {
    if (result.get() != 36) return "a result is wrong";
    return "ok";
  } catch (const pinion::PoolTerminated& e) {
    return std::string("ok, failed: ") + e.what();
  }
}

void for_good(const Refusal& refusal, int stage, std::string (*body)(Report&)) {
  Fault fault;
  fault.calls = refusal.calls;
  fault.nth = 1;
  fault.last = ~std::uint64_t{0};
  fault.error = refusal.error;
  fault.stage = stage;
  FaultRun run(fault, [body](Report& report) { tell(report, body); });
  REQUIRE(run.outcome().listened);
  const bool right = judge(refusal.name, fault, run);
  std::printf("%s %s for good%s: %s\n", refusal.name, ::strerrorname_np(refusal.error),
              stage == 0 ? "" : " from a death on", run.outcome().said.substr(0, 230).c_str());
  std::fflush(stdout);
  ++(right ? passed : failed);
  CHECK_MESSAGE(right, std::string(refusal.name));
}

const char* only() { return std::getenv("PINION_TEST_ONLY"); }  // the name of one
bool wanted(const char* name) { return only() == nullptr || std::string(only()) == name; }

}  // namespace

TEST_CASE_FIXTURE(NothingLeft, "each call for a resource fails once, in turn (edge case 39)") {
  for (const Refusal& refusal : refusals) {
    if (wanted(refusal.name)) each_call(refusal);
  }
}

TEST_CASE_FIXTURE(NothingLeft,
                  "all calls for a resource fail: from the start, and from a death on") {
  // Without these a pool that lives neither hears nor ends anybody.
  const std::set<std::string> unheard{"recvmsg", "sendmsg", "pidfd_send_signal"};
  for (const Refusal& refusal : refusals) {
    if (!wanted(refusal.name)) continue;
    for_good(refusal, 0, live);
    const std::string name = refusal.name;
    if (!unheard.contains(name) && !short_form()) for_good(refusal, 1, starve);
  }
}

int main(int argc, char** argv) {
  adopt_orphans();
  static_cast<void>(pinion::topology::plan_here({}, 2));  // looked at once, inherited by children
  if (!can_listen()) {
    std::puts("skipped: this machine does not let a process listen to system calls (seccomp)");
    return 77;
  }
  const int code = doctest::Context(argc, argv).run();
  std::printf("%d passed, %d failed\n", passed, failed);
  return code;
}
