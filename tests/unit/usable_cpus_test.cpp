// Which CPUs this process may use: masks, control groups, quotas, OpenMP, ranks; on fake trees
// of /proc and /sys, and on the real machine.
#include <dlfcn.h>
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <system_error>

#include "lib/topology/binding.hpp"
#include "lib/topology/cgroup_limits.hpp"
#include "lib/topology/local_ranks.hpp"
#include "lib/topology/openmp_places.hpp"
#include "lib/topology/topology.hpp"
#include "lib/topology/usable_cpus.hpp"
#include "support/skipped.hpp"

namespace {

namespace topology = pinion::topology;
using topology::CpuSet;
using topology::Environment;
using topology::UsableCpus;
using topology::UsableQuery;

// A tree of files that stands for "/".
class FakeRoot {
 public:
  FakeRoot() {
    std::string name = (std::filesystem::temp_directory_path() / "pinion-root-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~FakeRoot() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  FakeRoot(const FakeRoot&) = delete;
  FakeRoot& operator=(const FakeRoot&) = delete;

  void write(const std::string& file, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(path_ + file).parent_path());
    std::ofstream(path_ + file) << text;
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Environment variables(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const char* name) -> const char* {
    const auto found = values.find(name);
    return found == values.end() ? nullptr : found->second.c_str();
  };
}

UsableCpus ask(const FakeRoot& root, const std::string& mask,
               const Environment& environment = variables({}),
               std::optional<CpuSet> places = std::nullopt) {
  UsableQuery query;
  query.root = root.path();
  query.environment = environment;
  query.affinity = [mask] { return CpuSet::parse(mask); };
  query.openmp_places = [places] { return places; };
  return topology::usable_cpus(query);
}

void mount_v2(const FakeRoot& root, const std::string& group, const std::string& top = "/") {
  root.write("/proc/self/cgroup", "0::" + group + "\n");
  root.write("/proc/self/mountinfo",
             "22 1 8:1 / / rw,relatime - ext4 /dev/root rw\n"
             "31 23 0:28 " +
                 top + " /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n");
}

void mount_v1(const FakeRoot& root, const std::string& cpuset, const std::string& cpu) {
  root.write("/proc/self/cgroup",
             "9:name=systemd:/\n3:cpuset:" + cpuset + "\n1:cpu,cpuacct:" + cpu + "\n0::/\n");
  root.write("/proc/self/mountinfo",
             "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
             "32 31 0:29 / /sys/fs/cgroup/cpu\\040time rw - cgroup cgroup rw,cpu,cpuacct\n"
             "34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
             "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
}

}  // namespace

TEST_CASE("with nothing else to see, the mask decides") {
  const FakeRoot root;
  const UsableCpus usable = ask(root, "2-5");
  CHECK(usable.cpus.text() == "2-5");
  CHECK_FALSE(usable.quota_cores.has_value());
  CHECK(usable.decided_by() == "affinity mask");
  CHECK(usable.why() ==
        "  online CPUs: unknown (/sys/devices/system/cpu/online)\n"
        "* affinity mask: 2-5\n"
        "  CPU quota: no limit\n");
}

TEST_CASE("the source that takes away last is the one that decided") {
  const FakeRoot root;
  root.write("/sys/devices/system/cpu/online", "0-15\n");
  CHECK(ask(root, "0-15").decided_by() == "online CPUs");
  CHECK(ask(root, "0-3").decided_by() == "affinity mask");

  mount_v2(root, "/job/step");
  root.write("/sys/fs/cgroup/job/step/cpuset.cpus.effective", "0-7\n");
  const UsableCpus by_cpuset = ask(root, "0-7");
  CHECK(by_cpuset.decided_by() == "cgroup cpuset");
  CHECK(by_cpuset.cpus.text() == "0-7");
  CHECK(ask(root, "1,3").cpus.text() == "1,3");
  CHECK(ask(root, "1,3").decided_by() == "affinity mask");
}

TEST_CASE("isolated CPUs are shown, and usable just where the mask has them (edge case 66)") {
  const FakeRoot root;
  root.write("/sys/devices/system/cpu/online", "0-7\n");
  root.write("/sys/devices/system/cpu/isolated", "6-7\n");
  const UsableCpus around = ask(root, "0-5");
  CHECK(around.cpus.text() == "0-5");
  CHECK(around.decided_by() == "affinity mask");
  CHECK(around.why().find("  isolated CPUs: 6-7 (/sys/devices/system/cpu/isolated); usable if in "
                          "the mask\n") != std::string::npos);
  CHECK(ask(root, "5-6").cpus.text() == "5-6");
  for (const char* const said : {"\n", "all\n"}) {
    root.write("/sys/devices/system/cpu/isolated", said);
    CHECK(ask(root, "0-5").why().find("isolated") == std::string::npos);
  }
}

TEST_CASE("a mask beyond 1,024 CPUs is kept whole (edge case 49)") {
  const FakeRoot root;
  root.write("/sys/devices/system/cpu/online", "0-4095\n");
  CHECK(ask(root, "1000-1100,4000").cpus.text() == "1000-1100,4000");
}

TEST_CASE("a cpuset that contradicts the mask is shown and ignored") {
  const FakeRoot root;
  mount_v2(root, "/");
  root.write("/sys/fs/cgroup/cpuset.cpus.effective", "8-9\n");
  const UsableCpus usable = ask(root, "0-1");
  CHECK(usable.cpus.text() == "0-1");
  CHECK(usable.why().find("8-9 (/sys/fs/cgroup/cpuset.cpus.effective); ignored") !=
        std::string::npos);
}

TEST_CASE("version 2: the tightest quota from the group to its root counts, rounded up") {
  const FakeRoot root;
  mount_v2(root, "/job/step");
  root.write("/sys/fs/cgroup/job/step/cpu.max", "max 100000\n");
  root.write("/sys/fs/cgroup/job/cpu.max", "250000 100000\n");
  root.write("/sys/fs/cgroup/cpu.max", "800000 100000\n");
  const UsableCpus usable = ask(root, "0-15");
  CHECK(usable.quota_cores == 3U);
  CHECK(usable.cpus.text() == "0-15");
  CHECK(usable.decided_by() == "CPU quota");
  CHECK(usable.why().find("* CPU quota: 3 cores of CPU time (250000 us of every 100000 us, "
                          "/sys/fs/cgroup/job/cpu.max)") != std::string::npos);

  root.write("/sys/fs/cgroup/job/step/cpu.max", "1000 100000\n");
  CHECK(ask(root, "0-15").quota_cores == 1U);
  CHECK(ask(root, "0").decided_by() == "affinity mask");
}

TEST_CASE("version 2: a group without a cpuset of its own has its parent's") {
  const FakeRoot root;
  mount_v2(root, "/job/step");
  root.write("/sys/fs/cgroup/job/cpuset.cpus.effective", "4-5\n");
  root.write("/sys/fs/cgroup/cpuset.cpus.effective", "0-7\n");
  CHECK(ask(root, "0-7").cpus.text() == "4-5");
}

TEST_CASE("version 1: cpuset and quota lie in their own hierarchies") {
  const FakeRoot root;
  mount_v1(root, "/batch", "/batch/job");
  root.write("/sys/fs/cgroup/cpuset/batch/cpuset.cpus", "0-5\n");
  root.write("/sys/fs/cgroup/cpu time/batch/job/cpu.cfs_quota_us", "-1\n");
  root.write("/sys/fs/cgroup/cpu time/batch/job/cpu.cfs_period_us", "100000\n");
  root.write("/sys/fs/cgroup/cpu time/batch/cpu.cfs_quota_us", "150000\n");
  root.write("/sys/fs/cgroup/cpu time/batch/cpu.cfs_period_us", "50000\n");
  CHECK(ask(root, "0-7").cpus.text() == "0-5");
  CHECK(ask(root, "0-7").quota_cores == 3U);
  root.write("/sys/fs/cgroup/cpuset/batch/cpuset.effective_cpus", "2-3\n");
  CHECK(ask(root, "0-7").cpus.text() == "2-3");
}

TEST_CASE("in a container the group is found below the root of its mount") {
  const FakeRoot root;
  mount_v2(root, "/docker/abc/inner", "/docker/abc");
  root.write("/sys/fs/cgroup/inner/cpu.max", "100000 100000\n");
  CHECK(ask(root, "0-7").quota_cores == 1U);

  mount_v2(root, "/docker/abcdef", "/docker/abc");  // another group: what is mounted must do
  root.write("/sys/fs/cgroup/cpu.max", "200000 100000\n");
  CHECK(ask(root, "0-7").quota_cores == 2U);

  mount_v2(root, "/../../elsewhere");
  CHECK(ask(root, "0-7").quota_cores == 2U);
}

TEST_CASE("files that say nothing are no limit") {
  const FakeRoot root;
  mount_v2(root, "/job");
  root.write("/sys/devices/system/cpu/online", "many\n");
  root.write("/sys/fs/cgroup/job/cpuset.cpus.effective", "0-\n");
  for (const std::string text :
       {"", "max", "x 100000", "100000 0", "-5 100000", "1 2 3", "9e9 1"}) {
    CAPTURE(text);
    root.write("/sys/fs/cgroup/job/cpu.max", text);
    const UsableCpus usable = ask(root, "0-3");
    CHECK(usable.cpus.text() == "0-3");
    CHECK_FALSE(usable.quota_cores.has_value());
  }
  root.write("/proc/self/cgroup", "no colon\n1:cpu\n::\n");
  root.write("/proc/self/mountinfo", "1 2 - cgroup2\n - \n");
  CHECK(ask(root, "0-3").cpus.text() == "0-3");
}

TEST_CASE("a thread that OpenMP has bound has all places of its runtime") {
  const FakeRoot root;
  const auto bound = variables({{"OMP_PROC_BIND", "close"}});
  const UsableCpus usable = ask(root, "0", bound, CpuSet::parse("0-7"));
  CHECK(usable.cpus.text() == "0-7");
  CHECK(usable.decided_by() == "OpenMP places");
  CHECK(usable.why().find("affinity mask: 0 (one place of the OpenMP runtime)") !=
        std::string::npos);

  // Not asked for, not bound by the runtime, or bound by the user since.
  CHECK(ask(root, "0", variables({}), CpuSet::parse("0-7")).cpus.text() == "0");
  CHECK(ask(root, "0", bound, std::nullopt).cpus.text() == "0");
  CHECK(ask(root, "0,9", bound, CpuSet::parse("0-7")).cpus.text() == "0,9");
}

TEST_CASE("a real OpenMP runtime is found when it is loaded, and not before") {
  const CpuSet mask = topology::bound_cpus();
  if (mask.count() < 2) {
    checks::skip("only one CPU");
    return;
  }
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {  // the runtime binds the thread that loads it
    if (topology::openmp_places()) ::_exit(1);
    ::setenv("OMP_PROC_BIND", "true", 1);
    ::setenv("OMP_PLACES", "threads", 1);
    if (::dlopen("libgomp.so.1", RTLD_NOW | RTLD_GLOBAL) == nullptr) ::_exit(77);
    if (topology::bound_cpus().count() != 1) ::_exit(2);
    ::_exit(topology::usable_cpus().cpus == mask ? 0 : 3);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) {
    checks::skip("no libgomp.so.1");
    return;
  }
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("the launchers' variables tell the rank on this node") {
  const auto rank = [](std::map<std::string, std::string> values) {
    const auto found = topology::local_rank(variables(std::move(values)));
    return found ? std::to_string(found->rank) + "/" + std::to_string(found->size) : "none";
  };
  CHECK(rank({}) == "none");
  CHECK(rank({{"OMPI_COMM_WORLD_LOCAL_RANK", "1"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"}}) == "1/4");
  CHECK(rank({{"MPI_LOCALRANKID", "2"}, {"MPI_LOCALNRANKS", "3"}}) == "2/3");
  CHECK(rank({{"PMI_LOCAL_RANK", "0"}, {"PMI_LOCAL_SIZE", "2"}}) == "0/2");
  CHECK(rank({{"MPI_LOCALRANKID", "3"}, {"MPI_LOCALNRANKS", "3"}}) == "none");
  CHECK(rank({{"MPI_LOCALRANKID", "1x"}, {"MPI_LOCALNRANKS", "3"}}) == "none");
  const std::string steps = "SLURM_STEP_TASKS_PER_NODE";
  CHECK(rank({{"SLURM_LOCALID", "1"}, {steps, "4(x2),3"}}) == "1/4");
  CHECK(rank({{"SLURM_LOCALID", "1"}, {steps, "4(x2),3"}, {"SLURM_NODEID", "2"}}) == "1/3");
  CHECK(rank({{"SLURM_LOCALID", "1"}, {steps, "4(x2),3"}, {"SLURM_NODEID", "3"}}) == "none");
  // A batch script is not a rank, although the number of tasks is known to it.
  CHECK(rank({{"SLURM_LOCALID", "0"}, {"SLURM_NTASKS_PER_NODE", "4"}}) == "none");
  CHECK(rank({{"SLURM_LOCALID", "0"}, {"SLURM_NTASKS_PER_NODE", "4"}, {"SLURM_STEP_ID", "0"}}) ==
        "0/4");
}

TEST_CASE("unbound ranks of one node divide its cores and its quota") {
  const auto machine = topology::Topology::synthetic("pack:2 core:5 pu:2");
  UsableCpus whole;
  whole.cpus = machine.cpus();
  whole.quota_cores = 5;
  const auto part = [&](const UsableCpus& usable, int rank, int size) {
    return topology::share_between_ranks(usable, machine,
                                         variables({{"MPI_LOCALRANKID", std::to_string(rank)},
                                                    {"MPI_LOCALNRANKS", std::to_string(size)}}));
  };
  CHECK(part(whole, 0, 4).own().text() == "0-5");
  CHECK(part(whole, 1, 4).own().text() == "6-11");
  CHECK(part(whole, 2, 4).own().text() == "12-15");
  CHECK(part(whole, 3, 4).own().text() == "16-19");
  CHECK(part(whole, 13, 20).own().text() == "6-7");
  CHECK(part(whole, 1, 4).cpus == whole.cpus);
  CHECK(part(whole, 1, 4).quota_cores == 2U);
  CHECK(part(whole, 1, 4).decided_by() == "local ranks");
  CHECK(part(whole, 0, 1).own() == whole.cpus);

  UsableCpus bound = whole;  // somebody has bound this rank already
  bound.cpus = CpuSet::range(0, 9);
  bound.bound = true;
  CHECK(part(bound, 1, 4).own() == bound.cpus);
  CHECK_FALSE(part(bound, 1, 4).share.has_value());

  UsableCpus half = whole;  // the job has a part of the node, and its ranks all of that
  half.cpus = CpuSet::parse("1,10-19");
  CHECK(part(half, 0, 2).own().text() == "1,10-13");
  CHECK(part(half, 1, 2).own().text() == "14-19");
  UsableCpus all = whole;  // bound to the whole machine is not bound
  all.bound = true;
  CHECK(part(all, 1, 4).own().text() == "6-11");
  UsableCpus unknown = whole;
  unknown.cpus = {100, 101};
  CHECK_FALSE(part(unknown, 1, 2).share.has_value());
}

TEST_CASE("a rank counts as bound when it has less than its cgroup (edge case 67)") {
  const FakeRoot root;
  CHECK(ask(root, "0-7").bound);  // nobody knows
  root.write("/sys/devices/system/cpu/online", "0-15\n");
  CHECK_FALSE(ask(root, "0-15").bound);
  CHECK(ask(root, "0-7").bound);
  mount_v2(root, "/job/step");
  root.write("/sys/fs/cgroup/job/step/cpuset.cpus.effective", "0-7\n");
  CHECK_FALSE(ask(root, "0-7").bound);
  CHECK(ask(root, "0-6").bound);
  CHECK_FALSE(ask(root, "0-15").bound);
  // What is isolated nobody has by itself; who has it was given it, and all of the rest.
  root.write("/sys/devices/system/cpu/isolated", "6-7\n");
  CHECK_FALSE(ask(root, "0-5").bound);
  CHECK_FALSE(ask(root, "0-6").bound);
  CHECK(ask(root, "0-4").bound);
  CHECK(ask(root, "6-7").bound);
  root.write("/sys/devices/system/cpu/isolated", "0-7\n");
  CHECK_FALSE(ask(root, "0-7").bound);
  CHECK(ask(root, "0-3").bound);
  // An OpenMP runtime that deals out all of it has not been bound.
  const auto openmp = variables({{"OMP_PROC_BIND", "close"}});
  CHECK_FALSE(ask(root, "0", openmp, CpuSet::parse("0-7")).bound);
  CHECK(ask(root, "0", openmp, CpuSet::parse("0-3")).bound);
}

TEST_CASE("on this machine the usable CPUs are those of the mask") {
  UsableQuery query;
  query.environment = variables({});
  const UsableCpus usable = topology::usable_cpus(query);
  CAPTURE(usable.why());
  CHECK(usable.cpus == topology::bound_cpus());
  CHECK(usable.cpus.is_subset_of(topology::Topology::machine().cpus()));
  CHECK(usable.sources.size() >= 3);
}
