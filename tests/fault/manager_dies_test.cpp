// The manager dies: at each system call of a pool's construction, at random moments, in every state
// and in every way. Within 100 ms nothing of it is left, whatever its workers were doing.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>

#include <csignal>
#include <functional>
#include <memory>

#include "fault/syscall_faults.hpp"
#include "lib/topology/plan.hpp"
#include "tests/contract/checks.hpp"
#include "tests/support/short_form.hpp"
#include "tests/support/skipped.hpp"

using namespace checks;
using pinion::PoolOptions;
using std::chrono::microseconds;
using std::chrono::milliseconds;

namespace {

int square(int x) { return x * x; }
int slow(int ms) {
  std::this_thread::sleep_for(milliseconds(ms));
  return ms;
}
pinion::Task<int> nap(int ms) {
  co_await pinion::sleep_for(milliseconds(ms));
  co_return ms;
}
void compute_for_ever() {
  volatile bool go_on = true;
  while (go_on) {
  }
}
void ignore_all_and_wait() {
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  for (;;) ::pause();
}
void stop_myself() { ::raise(SIGSTOP); }

/// How long the machine takes to end the simplest thing of this kind: three children of a dead
/// parent, of which one computes.
microseconds baseline() {
  ManagerProcess parent([](Report& report) {
    const pid_t self = ::getpid();
    for (int i = 0; i < 3; ++i) {
      if (::fork() != 0) continue;
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != self) ::_exit(0);
      ++report.stage;
      if (i == 0) compute_for_ever();
      for (;;) ::pause();
    }
    for (;;) ::pause();
  });
  REQUIRE(parent.reaches(3));
  parent.kill(SIGKILL);
  return time_until_gone(parent, 10s).value_or(10s);
}

/// Whether others want the cores so much that a process may have to wait for one.
bool machine_is_busy() {
  std::ifstream file("/proc/stat");
  for (std::string word; file >> word;) {
    if (word != "procs_running") continue;
    unsigned running = 0;
    file >> running;
    return running > std::thread::hardware_concurrency() + 3;
  }
  return true;
}

/// Watches how long the ends take, and what the machine needs for the simplest one.
class Ends {
 public:
  void add(std::optional<microseconds> took) {
    REQUIRE(took.has_value());
    ++ends_;
    longest_ = std::max(longest_, *took);
    busy_ |= machine_is_busy();
    if (*took > 100ms) ++late_;
    if (ends_ % 4 == 1) add_baseline();
  }
  /// 100 ms, where the machine itself is not slow: then each step waits for a core.
  void judge(const char* what) {
    add_baseline();
    const auto ms = [](microseconds t) { return double(t.count()) / 1000; };
    std::printf("%s: %d ends, the longest %.1f ms, %d above 100 ms; the machine's own %.1f ms%s\n",
                what, ends_, ms(longest_), late_, ms(baseline_), busy_ ? ", and it is busy" : "");
    std::fflush(stdout);
    if (baseline_ < 50ms && !busy_) CHECK(late_ == 0);
    CHECK(longest_ < 5s);
  }

 private:
  void add_baseline() { baseline_ = std::max(baseline_, baseline()); }

  int ends_ = 0;
  int late_ = 0;
  bool busy_ = false;
  microseconds longest_{0};
  microseconds baseline_{0};
};

/// Shared memory of the whole machine, in KiB.
long shared_kib() { return field_of("/proc/meminfo", "Shmem"); }

/// Made before a case: after it /dev/shm and the machine's shared memory are as they were.
class NoMemoryLeft {
 public:
  NoMemoryLeft() = default;
  NoMemoryLeft(const NoMemoryLeft&) = delete;
  NoMemoryLeft& operator=(const NoMemoryLeft&) = delete;
  ~NoMemoryLeft() {
    CHECK(names_in("/dev/shm") == names_);
    // Other programs may hold shared memory for a while.
    CHECK(eventually([&] { return shared_kib() <= kib_ + 1024; }, 10s));
  }

 private:
  std::set<std::string> names_ = names_in("/dev/shm");
  long kib_ = shared_kib();
};

void no_core() {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
}

void check_nothing_left(ManagerProcess& manager) {
  CHECK(living_children() == "");
  end_leftovers(manager);
}

}  // namespace

TEST_CASE_FIXTURE(NothingLeft,
                  "killed at each system call of construction, of a first task, and of the end") {
  if (!can_listen()) {
    checks::skip("this machine does not let a process listen to system calls");
    return;
  }
  const NoMemoryLeft memory;
  Ends ends;
  int stages[4] = {};
  for (std::uint64_t nth = 1;; ++nth) {
    CAPTURE(nth);
    Fault fault;
    fault.nth = nth;
    fault.caller = Caller::manager;
    FaultRun run(fault, [](Report& report) {
      {
        pinion::Pool pool(2U);
        report.stage = 1;
        pool.apply(square, 3);
        report.stage = 2;
      }
      report.stage = 3;
      report.quiet = 1;
    });
    REQUIRE(run.outcome().listened);
    REQUIRE_FALSE(run.outcome().hung);
    ++stages[run.manager().report().stage];
    if (run.outcome().reached) {
      CHECK(WIFSIGNALED(run.manager().status().value_or(0)));
      // The kill and the reaping run through the one process that listens.
      ends.add(std::chrono::duration_cast<microseconds>(run.gone_after()));
    }
    check_nothing_left(run.manager());
    if (!run.outcome().reached) break;
    REQUIRE(nth < 2000);
    if (short_form()) nth += 5 + nth / 5;
  }
  std::printf("killed %d times in construction, %d in work, %d at the end\n", stages[0], stages[1],
              stages[2]);
  CHECK(stages[0] > times(20, 3));
  ends.judge("each system call");
}

TEST_CASE_FIXTURE(NothingLeft, "killed at random moments of construction (edge case 47)") {
  const NoMemoryLeft memory;
  auto random = seeded();
  Ends ends;
  int finished = 0;
  const int rounds = times(100, 10);
  for (int round = 0; round < rounds; ++round) {
    CAPTURE(round);
    ManagerProcess manager([](Report& report) {
      report.stage = 1;
      pinion::Pool pool(3U);
      report.stage = 2;
      slow(10000);
    });
    REQUIRE(manager.reaches(1));
    std::this_thread::sleep_for(microseconds(random() % 10000));
    manager.kill(SIGKILL);
    finished += manager.report().stage == 2;
    ends.add(time_until_gone(manager, 10s));
    check_nothing_left(manager);
  }
  std::printf("%d of %d had finished\n", finished, rounds);
  ends.judge("random moments of construction");
}

namespace {

/// What the pool is doing when its manager dies; says stage 2 when it does it.
struct Scene {
  const char* name;
  std::function<void(Report&)> play;
};

void rest(Report& report) {
  report.stage = 2;
  for (;;) ::pause();
}

const std::vector<Scene> scenes{
    {"idle",
     [](Report& report) {
       pinion::Pool pool(3U);
       rest(report);
     }},
    {"idle, spinning",
     [](Report& report) {
       pinion::Pool pool(PoolOptions{.processes = 2, .idle = pinion::Idle::spin});
       rest(report);
     }},
    {"loaded",
     [](Report& report) {
       pinion::Pool pool(PoolOptions{.processes = 5, .child_concurrency = 64});
       const auto busy = pool.apply_async(compute_for_ever);
       const auto deaf = pool.apply_async(ignore_all_and_wait);
       const auto stopped = pool.apply_async(stop_myself);
       slow(10);
       std::vector<pinion::AsyncResult<int>> waiting;
       for (int i = 0; i < 40; ++i) waiting.push_back(pool.apply_async(nap, 100000));
       const auto map = pool.map_async(slow, std::vector<int>(1000, 1), 5);
       static_cast<void>(eventually([&] {
         const auto all = children();
         return std::any_of(all.begin(), all.end(), [](auto& c) { return c.state == 'T'; });
       }));
       report.stage = 2;
       map.wait();
       for (;;) ::pause();
     }},
    {"respawning",
     [](Report& report) {
       pinion::Pool pool(2U);
       report.stage = 2;
       for (;;) {
         for (const auto& worker : pool.workers()) {
           if (worker.pid != 0) ::kill(worker.pid, SIGKILL);
         }
         slow(1);
       }
     }},
    {"closing",
     [](Report& report) {
       pinion::Pool pool(3U);
       const auto busy = pool.apply_async(compute_for_ever);
       for (int i = 0; i < 100; ++i) pool.apply_async(slow, 1);
       pool.close();
       report.stage = 2;
       pool.join();
     }},
    {"made and ended again and again",
     [](Report& report) {
       report.stage = 2;
       for (int i = 0;; ++i) {
         pinion::Pool pool(2U);
         pool.apply(square, i);
         if (i % 2 == 0) pool.terminate();
       }
     }},
};

struct Way {
  const char* name;
  int signal;
};
const std::vector<Way> ways{
    {"SIGKILL", SIGKILL}, {"SIGTERM", SIGTERM}, {"SIGSEGV", SIGSEGV}, {"SIGABRT", SIGABRT}};

}  // namespace

TEST_CASE_FIXTURE(NothingLeft, "killed in every state, in every way (edge case 46)") {
  const NoMemoryLeft memory;
  auto random = seeded();
  for (const Scene& scene : scenes) {
    CAPTURE(std::string(scene.name));
    Ends ends;
    for (int round = 0; round < times(12, 2); ++round) {
      const Way& way = ways[std::size_t(round) % ways.size()];
      CAPTURE(std::string(way.name));
      ManagerProcess manager([&](Report& report) {
        no_core();
        scene.play(report);
      });
      REQUIRE(manager.reaches(2));
      std::this_thread::sleep_for(microseconds(random() % 5000));
      manager.kill(way.signal);
      ends.add(time_until_gone(manager, 10s));
      check_nothing_left(manager);
    }
    ends.judge(scene.name);
  }
}

TEST_CASE_FIXTURE(NothingLeft, "it leaves by itself, past its pool") {
  const NoMemoryLeft memory;
  Ends ends;
  const std::vector<std::pair<const char*, void (*)()>> exits{
      {"_exit", [] { ::_exit(3); }},
      {"abort", [] { std::abort(); }},
      {"quick_exit", [] { std::quick_exit(3); }},
      {"exit", [] { std::exit(3); }},
      {"terminate", [] { std::terminate(); }},
      {"trap", [] { __builtin_trap(); }},
  };
  for (const auto& [name, leave] : exits) {
    CAPTURE(std::string(name));
    for (int round = 0; round < times(3, 1); ++round) {
      ManagerProcess manager([&, leave = leave](Report& report) {
        no_core();
        auto* pool = new pinion::Pool(3U);
        const auto busy = pool->apply_async(compute_for_ever);
        const auto waiting = pool->apply_async(nap, 100000);
        slow(5);
        report.stage = 2;
        leave();
      });
      REQUIRE(manager.reaches(2));
      REQUIRE(manager.ended(10s));
      ends.add(time_until_gone(manager, 10s));
      check_nothing_left(manager);
    }
  }
  ends.judge("exits");
}

TEST_CASE_FIXTURE(NothingLeft,
                  "a process that holds all its descriptors keeps nothing else alive") {
  const NoMemoryLeft memory;
  Ends ends;
  for (int round = 0; round < times(10, 2); ++round) {
    ManagerProcess manager([](Report& report) {
      pinion::Pool pool(3U);
      const auto busy = pool.apply_async(compute_for_ever);
      const pid_t helper = ::fork();
      if (helper == 0) {
        for (;;) ::pause();
      }
      report.extra = helper;
      rest(report);
    });
    REQUIRE(manager.reaches(2));
    const pid_t helper = manager.report().extra;
    manager.kill(SIGKILL);
    const auto took = time_until_gone(manager, 10s, helper);
    CHECK(lives(helper));
    CHECK(living_children(helper) == "");
    end_leftovers(manager);
    ends.add(took);
  }
  ends.judge("with a helper that holds the descriptors");
}

TEST_CASE_FIXTURE(
    NothingLeft,
    "a worker whose initializer or task has become another user dies with its manager") {
  if (::geteuid() != 0) {
    checks::skip("only root can become another user");
    return;
  }
  constexpr uid_t nobody = 65534;
  for (const bool by_task : {false, true}) {
    CAPTURE(by_task);
    ManagerProcess manager([by_task](Report& report) {
      const auto drop = [] { static_cast<void>(!::setresuid(nobody, nobody, nobody)); };
      PoolOptions options{.processes = 2};
      if (!by_task) options.initializer = pinion::call(drop);
      pinion::Pool pool(options);
      if (by_task) pool.apply(drop);
      slow(20);
      const auto busy = pool.apply_async(compute_for_ever);
      slow(10);
      rest(report);
    });
    REQUIRE(manager.reaches(2));
    manager.kill(SIGKILL);
    CHECK(time_until_gone(manager, 1s).has_value());
    check_nothing_left(manager);
  }
}

int main(int argc, char** argv) {
  adopt_orphans();
  static_cast<void>(pinion::topology::plan_here({}, 2));  // looked at once, inherited by children
  return doctest::Context(argc, argv).run();
}
