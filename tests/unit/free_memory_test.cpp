#include <doctest/doctest.h>
#include <sys/sysinfo.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "lib/os/free_memory.hpp"
#include "lib/os/memory_cgroup.hpp"

using pinion::os::free_memory_bytes;

namespace {

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

std::uint64_t memory_of_the_machine() {
  struct sysinfo info {};
  ::sysinfo(&info);
  return static_cast<std::uint64_t>(info.totalram) * info.mem_unit;
}

/// A folder with a /proc and a /sys of its own.
class FakeMachine {
 public:
  FakeMachine() {
    std::string name = std::filesystem::temp_directory_path() / "pinion-memory-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    root_ = name;
    write("/proc/meminfo", "MemTotal: 4194304 kB\nMemFree: 1024 kB\nMemAvailable: 2097152 kB\n");
  }
  FakeMachine(const FakeMachine&) = delete;
  FakeMachine& operator=(const FakeMachine&) = delete;
  ~FakeMachine() { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) const {
    const std::filesystem::path file = root_.string() + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  [[nodiscard]] std::string root() const { return root_; }
  [[nodiscard]] std::uint64_t free() const { return free_memory_bytes(root_); }

 private:
  std::filesystem::path root_;
};

}  // namespace

TEST_CASE("what is free is some, and no more than the machine has") {
  const std::uint64_t free = free_memory_bytes();
  CHECK(free > mib);
  CHECK(free <= memory_of_the_machine());
}

TEST_CASE("without a cgroup it is what the machine has available") {
  const FakeMachine machine;
  CHECK(machine.free() == 2048 * mib);
}

TEST_CASE("cgroup v2: what the limit leaves, and the tightest ancestor's") {
  const FakeMachine machine;
  machine.write("/proc/self/cgroup", "0::/job/step\n");
  machine.write("/sys/fs/cgroup/job/step/memory.max", "max\n");
  machine.write("/sys/fs/cgroup/job/step/memory.current", "1048576\n");
  CHECK(machine.free() == 2048 * mib);

  machine.write("/sys/fs/cgroup/job/memory.max", std::to_string(512 * mib) + "\n");
  machine.write("/sys/fs/cgroup/job/memory.current", std::to_string(112 * mib) + "\n");
  CHECK(machine.free() == 400 * mib);

  machine.write("/sys/fs/cgroup/job/step/memory.max", std::to_string(100 * mib) + "\n");
  CHECK(machine.free() == 99 * mib);
}

TEST_CASE("cgroup v1: the memory controller's limits count, other controllers do not") {
  const FakeMachine machine;
  machine.write("/proc/self/cgroup", "5:cpu,cpuacct:/job\n3:memory:/job\n");
  machine.write("/sys/fs/cgroup/memory/job/memory.limit_in_bytes", std::to_string(300 * mib));
  machine.write("/sys/fs/cgroup/memory/job/memory.usage_in_bytes", std::to_string(100 * mib));
  CHECK(machine.free() == 200 * mib);
}

TEST_CASE("kills by the OOM killer are counted, in the nearest group that is shown") {
  const FakeMachine machine;
  CHECK_FALSE(pinion::os::oom_kills(machine.root()).has_value());
  machine.write("/proc/self/cgroup", "0::/job/step\n");
  machine.write("/sys/fs/cgroup/job/memory.events", "low 0\nmax 7\noom 3\noom_kill 2\n");
  CHECK(pinion::os::oom_kills(machine.root()) == 2);
  machine.write("/sys/fs/cgroup/job/step/memory.events", "oom_kill 5\n");
  CHECK(pinion::os::oom_kills(machine.root()) == 5);

  const FakeMachine older;
  older.write("/proc/self/cgroup", "3:memory:/job\n");
  older.write("/sys/fs/cgroup/memory/job/memory.oom_control",
              "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n");
  CHECK(pinion::os::oom_kills(older.root()) == 4);
}

TEST_CASE("memory that was taken is no longer free, down to nothing") {
  const FakeMachine machine;
  machine.write("/proc/self/cgroup", "0::/job\n");
  machine.write("/sys/fs/cgroup/job/memory.max", std::to_string(64 * mib));
  machine.write("/sys/fs/cgroup/job/memory.current", std::to_string(16 * mib));
  CHECK(machine.free() == 48 * mib);
  machine.write("/sys/fs/cgroup/job/memory.current", std::to_string(64 * mib));
  CHECK(machine.free() == 0);
  machine.write("/sys/fs/cgroup/job/memory.current", std::to_string(65 * mib));
  CHECK(machine.free() == 0);
}
