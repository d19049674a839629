// Where a pool's workers and their memory really are, as the kernel tells it. Edge cases 65 and 66.
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>

#include "contract/checks.hpp"
#include "lib/os/mapping.hpp"
#include "lib/pool/arena.hpp"
#include "lib/topology/binding.hpp"
#include "lib/topology/numa_memory.hpp"
#include "unit/child.hpp"

using namespace checks;

namespace {

using pinion::Placement;
using pinion::PoolOptions;
using pinion::tests::deny;
using pinion::tests::in_child;
using pinion::tests::not_allowed;
using pinion::topology::bind_self;
using pinion::topology::bound_cpus;
using pinion::topology::CpuSet;
using pinion::topology::node_of_memory;
using pinion::topology::preferred_node;

int same(int x) { return x; }

std::vector<unsigned> my_cpus() { return bound_cpus().members(); }

bool works(pinion::Pool& pool) { return pool.map(same, numbers(200), 7) == numbers(200); }

/// Says what is wrong, in a child, where doctest does not see it.
int wrong(int code, const std::string& what) {
  std::fprintf(stderr, "  %s\n", what.c_str());
  return code;
}

/// In a process of its own, since the topology is loaded once and a mask is inherited.
void check_in_child(int (*body)()) {
  const int status = in_child([body] {
    try {
      return body();
    } catch (const std::exception& error) {
      return wrong(99, error.what());
    }
  });
  if (status == not_allowed) {
    MESSAGE("skipped: this machine does not allow it");
  } else {
    CHECK(status == 0);
  }
}

/// hwloc will tell of two sockets with a memory node each, of which the kernel has one, or both.
bool pretend_two_nodes() {
  if (!CpuSet{0, 1}.is_subset_of(bound_cpus())) return false;
  return ::setenv("HWLOC_SYNTHETIC", "pack:2 [numa(memory=1GB)] core:1 pu:1", 1) == 0 &&
         ::setenv("PINION_PLACES", "0,1", 1) == 0;
}

bool kernel_has_node_1() { return ::access("/sys/devices/system/node/node1", F_OK) == 0; }

bool write_file(const std::string& file, const std::string& text) {
  const int fd = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  return written;
}

}  // namespace

TEST_CASE("a mask of one CPU holds as many workers as are asked for (edge case 66)") {
  check_in_child([] {
    const std::vector<unsigned> one{bound_cpus().members().back()};
    bind_self({one.front()});
    pinion::Pool pool(PoolOptions{.processes = 8});
    if (pool.processes() != 8 || !works(pool)) return wrong(1, "the pool does not work");
    for (const auto& worker : pool.workers()) {
      if (worker.cpus != one) return wrong(2, "a worker is elsewhere");
    }
    return pinion::Pool().processes() == 1 ? 0 : wrong(3, "the default is not one worker");
  });
}

TEST_CASE("a CPU outside of the mask makes no pool, and the text says why (edge case 66)") {
  check_in_child([] {
    const std::vector<unsigned> mine = bound_cpus().members();
    if (mine.size() < 2) return not_allowed;
    bind_self({mine.front()});
    const std::string error = error_of([&] {
      pinion::Pool pool(PoolOptions{.placement = Placement(std::to_string(mine.back()))});
    });
    const std::string expected = "placement: CPU " + std::to_string(mine.back()) +
                                 " is outside the usable set {" + std::to_string(mine.front()) +
                                 "}, which the affinity mask decided";
    return error == expected ? 0 : wrong(1, error);
  });
}

TEST_CASE("a pool sees the mask as it is when it is made, not as it was for another") {
  check_in_child([] {
    const std::vector<unsigned> mine = bound_cpus().members();
    if (mine.size() < 2) return not_allowed;
    pinion::Pool before;
    bind_self({mine.back()});
    pinion::Pool after;
    if (after.processes() != 1) return wrong(1, "the new mask is not seen");
    if (after.apply(my_cpus) != std::vector{mine.back()}) return wrong(2, "it is elsewhere");
    const std::vector<unsigned> first = before.workers().at(0).cpus;
    return first.front() == mine.front() ? 0 : wrong(3, "the first pool has been moved");
  });
}

TEST_CASE("workers tell where the kernel has them now, not where they were put") {
  if (left_out("the pid is that of the program")) return;
  check_in_child([] {
    const std::vector<unsigned> mine = bound_cpus().members();
    if (mine.size() < 2) return not_allowed;
    const std::string place =
        "{" + std::to_string(mine.front()) + "," + std::to_string(mine.back()) + "}";
    pinion::Pool pool(PoolOptions{.processes = 1, .placement = Placement(place)});
    const auto cpus = [&] { return pool.workers().at(0).cpus; };
    if (cpus() != std::vector{mine.front(), mine.back()}) return wrong(1, "it is not in its place");
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(mine.back(), &set);
    if (::sched_setaffinity(pool.workers().at(0).pid, sizeof set, &set) != 0) return not_allowed;
    if (cpus() != std::vector{mine.back()}) return wrong(2, "it was moved, and that is not told");
    return pool.apply(my_cpus) == cpus() ? 0 : wrong(3, "the worker tells something else");
  });
}

TEST_CASE("a worker's memory is asked from its node, and a refusal is told (edge case 65)") {
  check_in_child([] {
    if (!pretend_two_nodes()) return not_allowed;
    pinion::Pool pool;
    if (!works(pool)) return wrong(1, "the pool does not work");
    const auto workers = pool.workers();
    if (workers.size() != 2) return wrong(2, "not two workers");
    if (workers[0].numa_node != 0 || workers[1].numa_node != 1) return wrong(3, "other nodes");
    const auto refused = [](const pinion::WorkerInfo& worker) {
      return worker.memory_reason.find(" was refused (mbind: ") != std::string::npos;
    };
    if (workers[0].memory_reason != "node 0 preferred") {
      return refused(workers[0]) ? not_allowed : wrong(4, workers[0].memory_reason);
    }
    if (workers[0].memory_node != 0) return wrong(5, "it is elsewhere");
    if (kernel_has_node_1()) return 0;
    if (!refused(workers[1])) return wrong(6, workers[1].memory_reason);
    return workers[1].memory_node == 0 ? 0 : wrong(7, "it is on a node that is not there");
  });
}

TEST_CASE("a worker's segment is on its node from its first page to what is committed later") {
  check_in_child([] {
    ::setenv("HWLOC_SYNTHETIC", "pack:2 [numa(memory=1GB)] core:1 pu:1", 1);
    pinion::pool::Arena arena(
        {.workers = 1, .seats = 1, .capacity = {.ring_slots = 64, .flights = 16}}, 0);
    const auto made = arena.make_worker_segment(0, 1, 0);
    if (made.memory.reason.find(" was refused (mbind: ") != std::string::npos) return not_allowed;
    if (made.memory.reason != "node 0 preferred") return wrong(1, made.memory.reason);
    const std::uint64_t start = made.segment->committed();
    if (!arena.extend(*made.segment, 1 << 20)) return wrong(2, "it does not grow");
    const pinion::os::Mapping worker(made.segment->fd(), made.segment->committed(), PROT_READ);
    for (const std::uint64_t at : {std::uint64_t{0}, start, made.segment->committed() - 1}) {
      if (preferred_node(worker.begin() + at) != 0) return wrong(3, std::to_string(at));
      if (node_of_memory(worker.begin() + at) != 0) return wrong(4, std::to_string(at));
    }
    const auto anywhere = arena.make_worker_segment(0, 2, -1);
    return preferred_node(anywhere.segment->begin()) == -1 ? 0 : wrong(5, "it has a preference");
  });
}

TEST_CASE("where mbind is forbidden the pool works, and says so; a successor too (edge case 65)") {
  if (left_out("a worker is killed")) return;
  check_in_child([] {
    if (!pretend_two_nodes()) return not_allowed;
    deny(SYS_mbind, EPERM);
    pinion::Pool pool;
    if (!works(pool)) return wrong(1, "the pool does not work");
    const auto told = [&](unsigned i) {
      return pool.workers().at(i).memory_reason ==
             "not bound: node " + std::to_string(i) +
                 " was refused (mbind: Operation not permitted)";
    };
    if (!told(0) || !told(1)) return wrong(2, pool.workers().at(0).memory_reason);
    ::kill(pool.workers().at(1).pid, SIGKILL);
    if (!eventually([&] { return pool.stats().respawns == 1; })) return wrong(3, "no successor");
    return told(1) && works(pool) ? 0 : wrong(4, "not told of the successor");
  });
}

TEST_CASE("on one node, and unbound, memory is left as it is, and that is told") {
  check_in_child([] {
    ::setenv("HWLOC_SYNTHETIC", "pack:1 [numa(memory=1GB)] core:2 pu:1", 1);
    pinion::Pool one(PoolOptions{.processes = 1});
    const std::string bound = one.workers().at(0).memory_reason;
    if (bound != "not bound: the machine has one memory node") return wrong(1, bound);
    pinion::Pool none(PoolOptions{.processes = 1, .placement = Placement::none()});
    const std::string unbound = none.workers().at(0).memory_reason;
    return unbound == "not bound: its CPUs belong to no single memory node" ? 0 : wrong(2, unbound);
  });
}

TEST_CASE("a cpuset that is narrowed while the pool lives takes no worker with it (edge case 66)") {
  if (left_out("a worker is killed")) return;
  const std::string group = "/sys/fs/cgroup/cpuset/pinion-test-" + std::to_string(::getpid());
  const bool version_1 = ::mkdir(group.c_str(), 0755) == 0;
  const CpuSet mine = bound_cpus();
  const auto set = [&](const char* file, const std::string& text) {
    return write_file(group + "/" + file, text);
  };
  if (!version_1 || mine.count() < 2 || !set("cpuset.cpus", mine.text()) ||
      !set("cpuset.mems", "0")) {
    MESSAGE("skipped: no cpuset of version 1 can be made here, or there is only one CPU");
  } else {
    const int status = in_child([&] {
      if (!set("cgroup.procs", std::to_string(::getpid()))) return not_allowed;
      const unsigned first = mine.members().front();
      const unsigned last = mine.members().back();
      const std::string places = std::to_string(first) + "," + std::to_string(last);
      pinion::Pool pool(PoolOptions{.placement = Placement(places)});
      const std::vector<unsigned> left{first};
      if (!set("cpuset.cpus", std::to_string(first))) return wrong(1, "the cpuset stays");
      if (!works(pool)) return wrong(2, "the pool does not work");
      if (pool.workers().at(1).cpus != left) return wrong(3, "the move is not told");
      ::kill(pool.workers().at(1).pid, SIGKILL);
      if (!eventually([&] { return pool.stats().respawns == 1; })) return wrong(4, "no successor");
      if (!works(pool)) return wrong(5, "the pool does not work with a successor");
      if (pool.workers().at(1).cpus != left) return wrong(6, "the successor is elsewhere");
      // A new pool has what is left, and no more.
      if (pinion::Pool().processes() != 1) return wrong(7, "a new pool sees too much");
      const std::string error =
          error_of([&] { pinion::Pool other(PoolOptions{.placement = Placement(places)}); });
      return error.find("is outside the usable set") != error.npos ? 0 : wrong(8, error);
    });
    CHECK((status == 0 || status == not_allowed));
  }
  if (version_1) CHECK(::rmdir(group.c_str()) == 0);
}

TEST_CASE("without /sys there are still places and a pool (edge case 66)") {
  check_in_child([] {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("none", "/sys", "tmpfs", 0, nullptr) != 0) {
      return not_allowed;
    }
    if (::access("/sys/devices", F_OK) == 0) return wrong(1, "/sys is still there");
    pinion::Pool pool;
    if (!works(pool)) return wrong(2, "the pool does not work");
    for (const auto& worker : pool.workers()) {
      if (worker.cpus.empty()) return wrong(3, "a worker is not bound");
    }
    return pool.processes() == bound_cpus().count() ? 0 : wrong(4, "not all CPUs are used");
  });
}
