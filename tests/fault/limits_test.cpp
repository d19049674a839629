// The limits of the process, of each kind: at construction, and lowered while a pool lives that
// then loses its workers. It goes on, or says what is short, within a bounded time.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include "fault/pool_life.hpp"
#include "lib/topology/plan.hpp"

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

/// Limits of processes and locked memory do not bind root.
void become_nobody() {
  if (::geteuid() != 0) return;
  if (::setresgid(65534, 65534, 65534) != 0 || ::setresuid(65534, 65534, 65534) != 0) {
    throw std::runtime_error("cannot become nobody");
  }
  ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);  // /proc/self is its own again
}

template <class Body>
void under_limit(const Limit& limit, const char* when, Body body) {
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
  const int status = manager.status().value_or(0);
  std::string wrong;
  if (!ended) wrong = "it hung";
  if (ended && status != 0) wrong = "it ended with " + status_text(status);
  if (wrong.empty() && holds(said, "LEFT")) wrong = "something was left";
  if (wrong.empty() && !begins(said, "ok") && !is_typed(said)) wrong = "that is no typed error";
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

TEST_CASE("limits of the process, at construction") {
  for (const Limit& limit : limits) {
    under_limit(limit, "at construction", [&](Report& report) {
      set_limit(limit);
      return live(report);
    });
  }
}

TEST_CASE("limits of the process, set while the pool lives, and then a worker dies") {
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

int main(int argc, char** argv) {
  adopt_orphans();
  static_cast<void>(pinion::topology::plan_here({}, 2));  // looked at once, inherited by children
  const int code = doctest::Context(argc, argv).run();
  std::printf("%d passed, %d failed\n", passed, failed);
  return code;
}
