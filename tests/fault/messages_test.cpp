// Each error says what happened, to which task, item and worker, by which limit or status, and what
// to do (P20).
#include <sys/mman.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <regex>

#include "contract/checks.hpp"
#include "lib/os/memory_cgroup.hpp"

using namespace checks;

namespace {

bool matches(const std::string& text, const char* pattern) {
  return std::regex_search(text, std::regex(pattern));
}

int same(int x) { return x; }
void die_by(int signal) { std::raise(signal); }
int die_at_3(int x) {
  if (x == 3) ::_exit(7);
  return x;
}
void loop_for_ever() {
  for (volatile bool on = true; on;) {
  }
}
pinion::Task<> wait_for_ever() { co_await pinion::sleep_for(1h); }
pinion::Task<int> wait_at_2(int x) {
  if (x == 2) co_await pinion::sleep_for(1h);
  co_return x;
}

/// A memory cgroup with a limit, of version 1 or 2, which this process joins. `made()` is false
/// where that is not allowed.
class SmallCgroup {
 public:
  explicit SmallCgroup(std::uint64_t bytes) {
    namespace fs = std::filesystem;
    const std::string name = "pinion-test-" + std::to_string(::getpid());
    if (fs::exists("/sys/fs/cgroup/memory/memory.limit_in_bytes")) {
      home_ = "/sys/fs/cgroup/memory";
      limit_ = "memory.limit_in_bytes";
    } else if (fs::exists("/sys/fs/cgroup/memory.max") ||
               fs::exists("/sys/fs/cgroup/cgroup.controllers")) {
      home_ = "/sys/fs/cgroup";
      limit_ = "memory.max";
    } else {
      return;
    }
    const auto groups = pinion::os::memory_cgroups("");
    if (groups.empty()) return;
    home_ = groups.front().folders.front();
    std::error_code error;
    folder_ = home_ + "/" + name;
    if (!fs::create_directory(folder_, error)) return;
    made_ = put(folder_ + "/" + limit_, std::to_string(bytes)) &&
            put(folder_ + "/cgroup.procs", std::to_string(::getpid()));
  }
  SmallCgroup(const SmallCgroup&) = delete;
  SmallCgroup& operator=(const SmallCgroup&) = delete;
  ~SmallCgroup() {
    if (folder_.empty()) return;
    put(home_ + "/cgroup.procs", std::to_string(::getpid()));
    eventually([&] {
      std::error_code error;
      return std::filesystem::remove(folder_, error);
    });
  }
  [[nodiscard]] bool made() const { return made_; }

 private:
  static bool put(const std::string& path, const std::string& text) {
    std::ofstream file(path);
    return static_cast<bool>(file << text << std::flush);
  }

  std::string home_, limit_, folder_;
  bool made_ = false;
};

void take_memory(std::size_t bytes) {
  void* const memory =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory != MAP_FAILED) std::memset(memory, 1, bytes);
}

}  // namespace

TEST_CASE_FIXTURE(NothingLeft,
                  "a lost task is named by its number, its worker and how that ended") {
  CheckedPool pool(pinion::PoolOptions{.processes = 1});
  CHECK(pool.apply(same, 1) == 1);
  CHECK(pool.map(same, numbers(5)) == numbers(5));
  const pid_t pid = pool.workers()[0].pid;
  const std::string text = error_of([&] { pool.apply(die_by, SIGSEGV); });
  CAPTURE(text);
  CHECK(matches(text, "^task 7 was lost: worker 0 "));
  CHECK(matches(text, ("\\(pid " + std::to_string(pid) + "\\)").c_str()));
  CHECK(matches(text, "was killed by signal 11 \\(SIGSEGV\\)"));
  CHECK(matches(text, "Submit it again"));
}

TEST_CASE_FIXTURE(NothingLeft, "a lost item is named by its index and its map's number") {
  CheckedPool pool(pinion::PoolOptions{.processes = 1});
  for (const auto chunk : {pinion::Chunking::fixed(1), pinion::Chunking::fixed(6)}) {
    const std::uint64_t before = pool.stats().accepted;
    const std::string text = error_of([&] { pool.map(die_at_3, numbers(6), chunk); });
    CAPTURE(text);
    CHECK(matches(text, ("^item 3 of task " + std::to_string(before + 1) + " was lost").c_str()));
    CHECK(matches(text, "ended with exit code 7"));
  }
}

TEST_CASE_FIXTURE(
    NothingLeft,
    "a task that ran too long names its limit, its worker and, where it was killed, the grace") {
  CheckedPool pool(pinion::PoolOptions{.processes = 1});
  const pinion::TaskOptions limits{.timeout = 20ms, .grace = 10ms};
  const std::string killed = error_of([&] { pool.apply(limits, loop_for_ever); });
  CAPTURE(killed);
  CHECK(matches(killed, "^task 1 ran longer than its timeout of 20 ms in worker 0 \\(pid \\d+\\)"));
  CHECK(matches(killed, "grace of 10 ms, so the worker was killed"));
  const std::string stopped = error_of([&] { pool.apply(limits, wait_for_ever); });
  CAPTURE(stopped);
  CHECK(matches(stopped, "^task 2 ran longer than its timeout of 20 ms in worker 0"));
  CHECK_FALSE(matches(stopped, "killed"));
  const std::string item = error_of([&] { pool.map(limits, wait_at_2, numbers(4)); });
  CAPTURE(item);
  CHECK(matches(item, "^item 2 of task 3 ran longer than its timeout of 20 ms"));
}

TEST_CASE_FIXTURE(NothingLeft, "a cancelled task is named") {
  CheckedPool pool(pinion::PoolOptions{.processes = 1});
  pool.apply(same, 1);
  auto waiting = pool.apply_async(wait_for_ever);
  waiting.cancel();
  CHECK(matches(error_of([&] { waiting.get(); }), "^task 2 was cancelled"));
}

TEST_CASE_FIXTURE(NothingLeft, "a SIGKILL by the OOM killer is told from another") {
  {
    CheckedPool pool(pinion::PoolOptions{.processes = 1});
    const std::string text = error_of([&] { pool.apply(die_by, SIGKILL); });
    CAPTURE(text);
    CHECK(matches(text, "often the kernel's OOM killer"));
    CHECK_FALSE(matches(text, "has struck"));
  }
  const SmallCgroup cgroup(96 << 20);
  if (!cgroup.made()) {
    checks::skip("no memory cgroup can be made here");
    return;
  }
  CheckedPool pool(pinion::PoolOptions{.processes = 1, .arena_bytes = 16 << 20});
  const std::string text = error_of([&] { pool.apply(take_memory, std::size_t{256} << 20); });
  CAPTURE(text);
  CHECK(matches(text, "was killed by signal 9 \\(SIGKILL\\)"));
  CHECK(matches(text, "OOM killer has struck in this cgroup"));
  CHECK(pool.apply(same, 3) == 3);
}
