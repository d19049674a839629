// The limits of the process, of each kind: at construction, and lowered while a pool lives that
// then loses its workers. It goes on, or says what is short, within a bounded time.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <memory>

#include "fault/pool_life.hpp"
#include "lib/topology/plan.hpp"
#include "support/skipped.hpp"

using namespace checks;
using namespace checks::life;

namespace {

int passed = 0;
int failed = 0;

struct Limit {
  const char* name;
  int resource;
  rlim_t value;
};

void set_limit(const Limit& limit) {
  const rlimit r{limit.value, limit.value};
  if (::setrlimit(static_cast<__rlimit_resource_t>(limit.resource), &r) != 0) {
    throw std::runtime_error(std::string("cannot set ") + limit.name);
  }
}

/// Limits of processes and locked memory do not bind root, and count for all processes of a user:
/// so it becomes one that nobody else is.
void become_nobody() {
  if (::geteuid() != 0) return;
  const uid_t id = 100'000 + static_cast<uid_t>(::getpid());
  if (::setresgid(id, id, id) != 0 || ::setresuid(id, id, id) != 0) {
    throw std::runtime_error("cannot become another user");
  }
  ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);  // /proc/self is its own again
}

template <class Body>
void under_limit(const Limit& limit, const char* when, Body body, std::string* text = nullptr) {
  ManagerProcess manager([&](Report& report) {
    become_nobody();
    tell(report, body);
  });
  const bool ended = manager.ended(20s);
  if (!ended) {
    show_stacks(manager.pid());
    manager.kill(SIGKILL);
    static_cast<void>(manager.ended(5s));
  }
  const std::string said = manager.report().text;
  if (text != nullptr) *text = said;
  const int status = manager.status().value_or(0);
  std::string wrong;
  if (!ended) wrong = "it hung";
  if (ended && status != 0) wrong = "it ended with " + status_text(status);
  if (wrong.empty() && holds(said, "LEFT")) wrong = "something was left";
  const bool fine = begins(said, "ok") || begins(said, "skipped") || is_typed(said);
  if (wrong.empty() && !fine) wrong = "that is no typed error";
  if (!living_children().empty()) wrong += ", and left" + living_children();
  end_leftovers(manager);
  std::printf("%s = %llu %s: %s%s\n", limit.name, static_cast<unsigned long long>(limit.value),
              when, wrong.empty() ? "" : ("WRONG, " + wrong + ": ").c_str(),
              said.substr(0, 230).c_str());
  std::fflush(stdout);
  ++(wrong.empty() ? passed : failed);
  CHECK_MESSAGE(wrong.empty(), std::string(limit.name));
}

const std::vector<Limit> limits{
    {"RLIMIT_NOFILE", RLIMIT_NOFILE, 4},
    {"RLIMIT_NOFILE", RLIMIT_NOFILE, 8},
    {"RLIMIT_NOFILE", RLIMIT_NOFILE, 12},
    {"RLIMIT_NOFILE", RLIMIT_NOFILE, 16},
    {"RLIMIT_NOFILE", RLIMIT_NOFILE, 24},
    {"RLIMIT_NPROC", RLIMIT_NPROC, 1},
    {"RLIMIT_NPROC", RLIMIT_NPROC, 3},
    {"RLIMIT_AS", RLIMIT_AS, 64 << 20},
    {"RLIMIT_AS", RLIMIT_AS, rlim_t{1} << 30},
    {"RLIMIT_FSIZE", RLIMIT_FSIZE, 0},
    {"RLIMIT_FSIZE", RLIMIT_FSIZE, 16 << 20},
    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK, 0},
    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK, 64 << 10},
    {"RLIMIT_STACK", RLIMIT_STACK, 256 << 10},
};

}  // namespace

TEST_CASE_FIXTURE(NothingLeft, "limits of the process, at construction") {
  for (const Limit& limit : limits) {
    under_limit(limit, "at construction", [&](Report& report) {
      set_limit(limit);
      return live(report);
    });
  }
}

TEST_CASE_FIXTURE(NothingLeft,
                  "limits of the process, set while the pool lives, and then a worker dies") {
  for (const Limit& limit : limits) {
    under_limit(limit, "while it lives", [&](Report&) -> std::string {
      pinion::Pool pool(2U);
      use(pool);
      set_limit(limit);
      const auto before = pool.stats().respawns;
      ::kill(pool.workers()[0].pid, SIGKILL);
      std::string said = "ok";
      if (!eventually([&] { return pool.stats().respawns > before; }, 300ms)) {
        said += ", no successor";
      }
      const auto result = pool.apply_async(square, 5);
      if (!result.wait(5s) || result.get() != 25) return "the worker that lives does not answer";
      for (const pinion::WorkerInfo& worker : pool.workers()) {
        if (worker.pid != 0) ::kill(worker.pid, SIGKILL);
      }
      const auto last = pool.apply_async(square, 6);
      if (!last.wait(8s)) return said + ", but a task without any worker never ended";
      try {
        if (last.get() != 36) return "a result is wrong";
      } catch (const pinion::PoolTerminated& e) {
        said += std::string(", failed: ") + e.what();
      }
      return said;
    });
  }
}

namespace {

/// Whether its worker has a ring; it asks for one now.
bool has_ring(pinion::Pool& pool) {
  if (pool.apply(later, 3) != 3) return false;
  return eventually([&] { return !pool.workers()[0].io_backend.empty(); }) &&
         pool.workers()[0].io_backend == "uring";
}

/// As many pools at once as the limit allows rings; then far more, one after the other.
std::string rings_in_turn(Report&) {
  constexpr std::size_t enough = 20;
  std::size_t at_once = 0;
  {
    std::vector<std::unique_ptr<pinion::Pool>> pools;
    while (at_once < enough) {
      pools.push_back(std::make_unique<pinion::Pool>(1U));
      if (!has_ring(*pools.back())) break;
      ++at_once;
    }
  }
  if (at_once == 0) return "skipped: there is no io_uring here";
  if (at_once == enough) return "skipped: rings are not counted as locked memory here";
  const std::size_t in_turn = 4 * at_once + 12;
  for (std::size_t i = 0; i < in_turn; ++i) {
    pinion::Pool pool(1U);
    if (!has_ring(pool)) return "the memory of ring " + std::to_string(i) + " was not there";
    // The successor of one that was killed has the same memory.
    if (i % 4 != 0) continue;
    ::kill(pool.workers()[0].pid, SIGKILL);
    if (!eventually([&] { return pool.stats().respawns == 1; })) return "no successor came";
    if (!has_ring(pool)) return "a successor got no ring, at pool " + std::to_string(i);
  }
  return "ok, " + std::to_string(at_once) + " rings at once, " + std::to_string(in_turn) +
         " in turn";
}

}  // namespace

TEST_CASE_FIXTURE(NothingLeft, "a ring's locked memory is given back (P7)") {
  const Limit limit{"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK, 96 << 10};
  std::string said;
  under_limit(
      limit, "for rings in turn",
      [&](Report& report) {
        set_limit(limit);
        return rings_in_turn(report);
      },
      &said);
  if (begins(said, "skipped: ")) skip(said.substr(9));
}

int main(int argc, char** argv) {
  adopt_orphans();
  static_cast<void>(pinion::topology::plan_here({}, 2));  // looked at once, inherited by children
  const int code = doctest::Context(argc, argv).run();
  std::printf("%d passed, %d failed\n", passed, failed);
  return code;
}
