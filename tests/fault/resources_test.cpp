// Every resource that a pool asks the kernel for is refused: once, at each call in turn, and then
// always, while the pool is made, while it works and while it replaces a worker. It must go on, or
// say what is missing; it must neither hang nor crash nor leave anything.
#include <doctest/doctest.h>
#include <sys/syscall.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "fault/pool_life.hpp"
#include "fault/syscall_faults.hpp"
#include "lib/topology/plan.hpp"
#include "support/short_form.hpp"

using namespace checks;
using namespace checks::life;

namespace {

using Texts = std::vector<std::string>;

// What a user may be told, and nothing else: the type, the limit or the call, and what it said.
std::string limit(const std::string& name, const std::string& found) {
  return "pinion::ResourceError: " + name + ": found " + found + "; ";
}
std::string descriptors(const std::string& call) {
  return limit("file descriptors (RLIMIT_NOFILE)", call + "Too many open files");
}
std::string memory(const std::string& call) {
  return limit("memory (RLIMIT_AS, the cgroup's limit)", call + ": Cannot allocate memory");
}
std::string again(const std::string& call) {
  return limit("processes (RLIMIT_NPROC, pids.max of the cgroup)",
               call + ": Resource temporarily unavailable");
}
/// By a worker that could still say so; `#` is any number.
std::string worker(const std::string& what) {
  return "pinion::StartError: worker # could not start: " + what;
}
/// By one that could not, since it had no shared memory yet: it has said it on its standard error.
const std::string silent =
    "pinion::StartError: worker # died before it was ready: it ended with exit code 1";
std::string nursery(const std::string& what) {
  return "pinion::StartError: the workers could not be started: " + what;
}
/// By a task.
std::string task(const std::string& what) {
  return "pinion::detail::Remote<std::system_error>: " + what;
}

struct Refusal {
  const char* name;
  std::vector<int> calls;
  int error;
  Texts told{};  // what follows may differ; empty: it costs nothing that a user sees
};

const std::vector<Refusal> refusals{
    {"memfd_create", {SYS_memfd_create}, EMFILE, {descriptors("")}},
    {"ftruncate", {SYS_ftruncate}, ENOMEM, {memory("sizing a shared segment")}},
    {"fallocate",
     {SYS_fallocate},
     ENOSPC,
     {"pinion::ResourceError: shared memory: found No space left on device for # MiB more; ",
      "pinion::detail::Remote<pinion::ResourceError>: PoolOptions::arena_bytes: found no room for "
      "a result of # bytes; "}},
    {"mmap",
     {SYS_mmap},
     ENOMEM,
     {memory("mapping shared memory"), memory("mapping the fork guard"),
      again("starting the service thread"),  // as pthread_create says it
      worker("mapping the fork guard: Cannot allocate memory"),
      worker("mapping shared memory: Cannot allocate memory"), silent,
      task("mapping the fork guard: Cannot allocate memory")}},
    {"mprotect", {SYS_mprotect}, ENOMEM, {again("starting the service thread")}},
    {"madvise",
     {SYS_madvise},
     EAGAIN,
     {again("MADV_WIPEONFORK"), worker("MADV_WIPEONFORK: Resource temporarily unavailable"),
      task("MADV_WIPEONFORK: Resource temporarily unavailable"),
      task("keeping the io_uring queues out of forked children: Resource temporarily "
           "unavailable")}},
    {"fcntl", {SYS_fcntl}, EMFILE, {descriptors("sealing a shared segment: "), silent}},
    {"clone",
     {SYS_clone, SYS_clone3, SYS_fork, SYS_vfork},
     EAGAIN,
     {again("forking the nursery"), again("starting a worker"),
      again("starting the service thread")}},
    {"eventfd2", {SYS_eventfd2}, EMFILE, {descriptors("making an eventfd: ")}},
    {"epoll_create1", {SYS_epoll_create1}, EMFILE, {descriptors("epoll_create1: ")}},
    {"epoll_ctl", {SYS_epoll_ctl}, ENOMEM, {memory("watching a descriptor")}},
    {"socketpair",
     {SYS_socketpair},
     ENFILE,
     {limit("open files of the machine (fs.file-max)",
            "making a socket pair: Too many open files in system")}},
    {"sendmsg", {SYS_sendmsg}, ENOBUFS, {nursery("sending a message: No buffer space available")}},
    {"recvmsg",
     {SYS_recvmsg},
     ENOMEM,
     {memory("receiving a message"), nursery("receiving a message: Connection reset by peer"),
      nursery("sending a message: Broken pipe")}},
    {"io_uring_setup", {SYS_io_uring_setup}, ENOMEM},
    {"io_uring_enter", {SYS_io_uring_enter}, EAGAIN},
    {"membarrier",
     {SYS_membarrier},
     EPERM,
     {worker("the worker could not register for membarrier")}},
    {"sched_setaffinity",
     {SYS_sched_setaffinity},
     EINVAL,
     {worker("cannot bind to CPUs {#}: Invalid argument")}},
    {"prctl", {SYS_prctl}, EINVAL},
    {"getrandom", {SYS_getrandom}, EAGAIN, {again("getrandom")}},
    {"pidfd_send_signal", {SYS_pidfd_send_signal}, EPERM},
    {"prlimit64", {SYS_prlimit64}, EPERM},
};

/// Each number as one `#`.
std::string without_numbers(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit) out.push_back(c);
    if (digit && (out.empty() || out.back() != '#')) out.push_back('#');
  }
  return out;
}

/// Whether it is one of what may be told.
bool is_promised(const Refusal& refusal, const std::string& said) {
  return std::any_of(refusal.told.begin(), refusal.told.end(), [&](const std::string& text) {
    return begins(without_numbers(said), without_numbers(text));
  });
}

int passed = 0;
int failed = 0;

/// One run; false where it went wrong, which is printed.
bool judge(const Refusal& refusal, const Fault& fault, FaultRun& run) {
  const char* const name = refusal.name;
  const FaultOutcome& outcome = run.outcome();
  std::string wrong;
  if (outcome.hung) wrong = "it hung";
  if (outcome.status != 0 && !outcome.hung) wrong = "it ended with " + status_text(outcome.status);
  if (wrong.empty() && holds(outcome.said, "LEFT")) wrong = "something was left";
  if (wrong.empty() && !begins(outcome.said, "ok") && !is_promised(refusal, outcome.said)) {
    wrong = "that is not what is promised";
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
    if (!judge(refusal, fault, run)) {
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
  std::printf("%s %s: up to call %llu: %d runs clean, %d with a promised error, %d wrong\n",
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
  const bool right = judge(refusal, fault, run);
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
