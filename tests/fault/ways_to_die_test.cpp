// F1, F2, F3: each way for a process to end, at each place in the life of a task.
#include <doctest/doctest.h>
#include <sys/time.h>

#include <atomic>
#include <string>

#include "tests/contract/checks.hpp"
#include "tests/fault/bystander.hpp"
#include "tests/fault/shared.hpp"
#include "tests/fault/ways.hpp"
#include "tests/fault/workers.hpp"

using namespace checks;
using pinion::ExitStatus;
using pinion::WorkerLost;

namespace {

enum class Place : int {
  decoding_argument,
  running,
  encoding_result,
  destroying_argument,
  destroying_result,
};
constexpr std::array places{Place::decoding_argument, Place::running, Place::encoding_result,
                            Place::destroying_argument, Place::destroying_result};
const char* name_of(Place place) {
  constexpr const char* names[] = {"decoding the argument", "running", "encoding the result",
                                   "destroying the argument", "destroying the result"};
  return names[static_cast<int>(place)];
}

/// Burns in a worker, at one place, and nowhere else.
struct Fuse {
  Place place{};
  Way way{};
  void burn(Place here) const {
    if (here == place && pinion::in_worker()) die(way);
  }
};

/// Burns its fuse when it is decoded and when it is destroyed.
class Argument {
 public:
  explicit Argument(Fuse fuse) : fuse_(fuse) {}
  Argument(const Argument&) = delete;
  Argument& operator=(const Argument&) = delete;
  Argument(Argument&& other) noexcept
      : fuse_(other.fuse_), armed_(std::exchange(other.armed_, false)) {}
  ~Argument() {
    if (armed_) fuse_.burn(Place::destroying_argument);
  }
  [[nodiscard]] Fuse fuse() const { return fuse_; }

 private:
  Fuse fuse_;
  bool armed_ = true;
};

/// Burns its fuse when it is encoded and when it is destroyed.
class Result {
 public:
  explicit Result(Fuse fuse) : fuse_(fuse) {}
  Result(const Result& other) : fuse_(other.fuse_) {}
  Result& operator=(const Result&) = delete;
  Result(Result&& other) noexcept
      : fuse_(other.fuse_), armed_(std::exchange(other.armed_, false)) {}
  ~Result() {
    if (armed_) fuse_.burn(Place::destroying_result);
  }
  [[nodiscard]] Fuse fuse() const { return fuse_; }

 private:
  Fuse fuse_;
  bool armed_ = true;
};

}  // namespace

template <>
struct pinion::codec<Argument> {
  static std::size_t size(const Argument&) { return sizeof(Fuse); }
  static void encode(Writer& to, const Argument& a) { to.value(a.fuse()); }
  static Argument decode(Reader& from) {
    const Fuse fuse = from.value<Fuse>();
    fuse.burn(Place::decoding_argument);
    return Argument(fuse);
  }
};
template <>
struct pinion::codec<Result> {
  static std::size_t size(const Result&) { return sizeof(Fuse); }
  static void encode(Writer& to, const Result& r) {
    r.fuse().burn(Place::encoding_result);
    to.value(r.fuse());
  }
  static Result decode(Reader& from) { return Result(from.value<Fuse>()); }
};

namespace {

int square(int x) { return x * x; }

Result plain(const Argument& argument) {
  argument.fuse().burn(Place::running);
  return Result(argument.fuse());
}
pinion::Task<Result> before_its_first_await(Argument argument) {
  argument.fuse().burn(Place::running);
  co_await pinion::sleep_for(1us);
  co_return Result(argument.fuse());
}
pinion::Task<Result> after_its_first_await(Argument argument) {
  co_await pinion::sleep_for(100us);
  argument.fuse().burn(Place::running);
  co_return Result(argument.fuse());
}

/// A pool of two: one worker's task is the bystander, so that all others run in the other.
class OneDies {
 public:
  OneDies() : bystander_(pool_) {
    for (const pid_t pid : pids(pool_)) {
      if (pid != bystander_.pid()) victim_ = pid;
    }
  }

  CheckedPool& pool() { return pool_; }
  [[nodiscard]] pid_t victim() const { return victim_; }

  /// The task of this result has died, so: nobody else, and once.
  template <class R>
  void check_lost(pinion::AsyncResult<R> result, ExitStatus status) {
    try {
      result.get(20s);
      FAIL_CHECK("it must throw");
    } catch (const WorkerLost& lost) {
      CHECK(lost.status() == status);
      CHECK(lost.pid() == victim_);
      CHECK(lost.cause() == WorkerLost::Cause::death);
      CHECK(lost.phase() == WorkerLost::Phase::started);
    } catch (const std::exception& e) {
      FAIL_CHECK("not WorkerLost, but " << e.what());
    }
    check_replaced();
  }

  /// The worker dies, or has, without a task.
  void check_died_idle() {
    REQUIRE(eventually([&] { return pool_.stats().deaths == deaths_ + 1; }, 20s));
    check_replaced();
  }

  /// One more death, one more respawn, and the next task works.
  void check_replaced() {
    ++deaths_;
    CHECK(pool_.apply(square, 12) == 144);
    REQUIRE(replaced(pool_, deaths_));
    CHECK(bystander_.gets_on());
    const pid_t before = victim_;
    for (const auto& worker : pool_.workers()) {
      if (worker.pid == bystander_.pid()) {
        CHECK(worker.generation == 1);
      } else {
        CHECK(worker.generation == deaths_ + 1);
        victim_ = worker.pid;
      }
    }
    CHECK(victim_ != before);
  }

  void end() {
    CHECK(pool_.stats().deaths == deaths_);
    bystander_.leave();
    check_rest(pool_);
  }

 private:
  CheckedPool pool_{2};
  Bystander bystander_;
  pid_t victim_ = 0;
  std::uint64_t deaths_ = 0;
};

template <class F>
void die_everywhere(F f) {
  NothingLeft nothing;
  OneDies one;
  for (const Place place : places) {
    for (const Way way : ways) {
      CAPTURE(name_of(place));
      CAPTURE(name_of(way));
      one.check_lost(one.pool().apply_async(f, Argument(Fuse{place, way})), status_of(way));
    }
  }
  one.end();
}

}  // namespace

TEST_CASE_FIXTURE(
    NothingLeft,
    "a plain task that dies anywhere is lost with its exact status, and nothing else is") {
  die_everywhere(plain);
}

TEST_CASE_FIXTURE(NothingLeft, "so is a coroutine that dies before its first await") {
  die_everywhere(before_its_first_await);
}

TEST_CASE_FIXTURE(NothingLeft, "so is one that dies after it") {
  die_everywhere(after_its_first_await);
}

namespace {

/// Ends well, and leaves a thread that kills the process a moment later.
int leave_a_killer(int way, int delay_us) {
  std::thread([=] {
    std::this_thread::sleep_for(std::chrono::microseconds(delay_us));
    die(static_cast<Way>(way));
  }).detach();
  return way;
}
int leave_a_timer(int delay_us) {
  itimerval timer{};
  timer.it_value.tv_usec = delay_us;
  return ::setitimer(ITIMER_REAL, &timer, nullptr);
}
pinion::Task<int> leave_a_killer_and_wait(int way) {
  leave_a_killer(way, 2000);
  co_await pinion::sleep_for(10s);
  co_return way;
}
/// Set once the victim of a killer that waits for it runs.
const Shared<std::atomic<bool>> victim_runs;
int leave_a_killer_of_the_next(int way) {
  *victim_runs = false;
  std::thread([=] {
    while (!*victim_runs) std::this_thread::sleep_for(100us);
    die(static_cast<Way>(way));
  }).detach();
  return way;
}
int be_the_next(int ms) {
  *victim_runs = true;
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
  return ms;
}

}  // namespace

TEST_CASE_FIXTURE(NothingLeft, "a worker that dies between tasks costs no task") {
  OneDies one;
  SUBCASE("by a thread that a task has left") {
    for (const Way way : ways) {
      if (way == Way::thread_exit) continue;  // ends that thread and no more
      CAPTURE(name_of(way));
      CHECK(one.pool().apply(leave_a_killer, static_cast<int>(way), 2000) == static_cast<int>(way));
      one.check_died_idle();
    }
  }
  SUBCASE("by a timer that a task has left") {
    for (int i = 0; i < 5; ++i) {
      CHECK(one.pool().apply(leave_a_timer, 2000) == 0);
      one.check_died_idle();
    }
  }
  SUBCASE("by a signal from outside") {
    for (const int signal : {SIGKILL, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTERM, SIGHUP,
                             SIGQUIT, SIGUSR1, SIGALRM, SIGTRAP, SIGXCPU, SIGRTMIN + 3}) {
      CAPTURE(signal);
      REQUIRE(Target(one.victim()).send(signal));
      one.check_died_idle();
    }
  }
  CHECK(one.pool().stats().failed == 0);
  one.end();
}

TEST_CASE_FIXTURE(
    NothingLeft,
    "signals that end nothing by default, and those that workers ignore, end no worker") {
  CheckedPool pool(2);
  const auto before = pids(pool);
  for (const int signal : {SIGCHLD, SIGURG, SIGWINCH, SIGCONT, SIGINT, SIGPIPE}) {
    for (const pid_t pid : before) REQUIRE(Target(pid).send(signal));
    for (int i = 0; i < 10; ++i) CHECK(pool.apply(square, i) == i * i);
  }
  CHECK(pids(pool) == before);
  CHECK(pool.stats().deaths == 0);
}

TEST_CASE_FIXTURE(NothingLeft,
                  "what one task has left kills the task that runs then, which learns how") {
  OneDies one;
  for (const Way way : ways) {
    if (way == Way::thread_exit) continue;
    CAPTURE(name_of(way));
    // The second cannot run elsewhere: the bystander's worker is never free.
    one.pool().apply(leave_a_killer_of_the_next, static_cast<int>(way));
    one.check_lost(one.pool().apply_async(be_the_next, 10000), status_of(way));
    one.check_lost(one.pool().apply_async(leave_a_killer_and_wait, static_cast<int>(way)),
                   status_of(way));
  }
  one.end();
}

TEST_CASE_FIXTURE(NothingLeft, "a deep stack overflows at its limit, and one below it does not") {
  // Of a worker's stack, which is as large as the program's own (8 MiB here or more).
  CheckedPool pool(1);
  const auto use_stack = [](int kib) {
    std::string filled;
    auto descend = [&](auto& self, int left) -> int {
      volatile char here[1024];
      here[0] = static_cast<char>(left);
      return left == 0 ? here[0] : self(self, left - 1) + (here[0] - here[0]);
    };
    return descend(descend, kib) == 0 ? kib : -1;
  };
  CHECK(pool.apply(use_stack, 512) == 512);
  for (int i = 0; i < 20; ++i) {
    try {
      pool.apply([](int) { die(Way::stack_overflow); }, i);
      FAIL("it must throw");
    } catch (const WorkerLost& lost) {
      CHECK(lost.status() == ExitStatus::signaled(SIGSEGV));
    }
  }
  CHECK(pool.apply(use_stack, 512) == 512);
  CHECK(pool.stats().deaths == 20);
}
