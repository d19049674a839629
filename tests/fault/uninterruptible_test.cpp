// A worker in uninterruptible sleep outlives SIGKILL: it is told, abandoned with its memory, and
// replaced, and nobody waits for it (P5, F6).
#include <fcntl.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>

#include "contract/checks.hpp"

using namespace checks;

namespace {

int run(const std::string& command) {
  const int status = std::system((command + " >/dev/null 2>&1").c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// A small file system that stands still: who writes to it sleeps in the kernel, deaf to SIGKILL.
class FrozenFiles {
 public:
  FrozenFiles() {
    std::string name = "/tmp/pinion-frozen-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) return;
    folder_ = name;
    const std::string image = folder_ + "/image";
    mounted_ = run("truncate -s 8M " + image) == 0 && run("mkfs.ext4 -q -F " + image) == 0 &&
               run("mkdir " + folder_ + "/mount") == 0 &&
               run("mount -o loop " + image + " " + folder_ + "/mount") == 0;
    frozen_ = mounted_ && run("fsfreeze -f " + folder_ + "/mount") == 0;
  }
  FrozenFiles(const FrozenFiles&) = delete;
  FrozenFiles& operator=(const FrozenFiles&) = delete;
  ~FrozenFiles() {
    thaw();
    if (mounted_) CHECK(eventually([&] { return run("umount " + folder_ + "/mount") == 0; }));
    if (!folder_.empty()) run("rm -rf " + folder_);
  }
  void thaw() {
    if (frozen_) run("fsfreeze -u " + folder_ + "/mount");
    frozen_ = false;
  }
  [[nodiscard]] bool frozen() const { return frozen_; }
  [[nodiscard]] std::string file() const { return folder_ + "/mount/file"; }

 private:
  std::string folder_;
  bool mounted_ = false;
  bool frozen_ = false;
};

void write_to(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT, 0600);
  ::close(fd);
}

bool sleeps_in_kernel(pid_t pid) {
  const auto found = process(pid);
  return found && found->state == 'D';
}

int same(int x) { return x; }
pinion::Task<> wait_for_ever() { co_await pinion::sleep_for(1h); }

}  // namespace

TEST_CASE_FIXTURE(NothingLeft,
                  "a worker that cannot be killed is abandoned, replaced and reaped when it can") {
  FrozenFiles files;
  if (!files.frozen()) {
    checks::skip("no file system can be frozen here (needs root, mkfs.ext4 and loop devices)");
    return;
  }
  CheckedPool pool(pinion::PoolOptions{.processes = 2});
  const pinion::TaskOptions limits{.timeout = 50ms, .grace = 10ms};
  auto stuck = pool.apply_async(limits, write_to, files.file());
  const auto begin = Clock::now();
  CHECK_THROWS_AS(stuck.get(10s), pinion::TaskTimeout);
  const auto took = Clock::now() - begin;
  CHECK(took > 1s);
  CHECK(took < 3s);
  CHECK(pool.stats().abandoned == 1);
  CHECK(eventually([&] { return pool.stats().respawns == 1; }));
  CHECK(pool.map(same, numbers(100)) == numbers(100));

  files.thaw();
  // Then it dies of the signal that it was sent, and is not left as a zombie.
  CHECK(eventually([&] { return children().size() == 3; }));  // the nursery and two workers
  check_rest(pool);
}

TEST_CASE_FIXTURE(NothingLeft, "what else an abandoned worker ran is lost, and the text says why") {
  FrozenFiles files;
  if (!files.frozen()) {
    skip("no file system can be frozen here");
    return;
  }
  CheckedPool pool(pinion::PoolOptions{.processes = 1});
  const pid_t pid = pool.workers()[0].pid;
  const auto beside = pool.apply_async(wait_for_ever);
  const pinion::TaskOptions limits{.timeout = 50ms, .grace = 10ms};
  const auto stuck = pool.apply_async(limits, write_to, files.file());
  try {
    beside.get(10s);
    FAIL("it must throw");
  } catch (const pinion::WorkerLost& lost) {
    const std::string text = lost.what();
    CAPTURE(text);
    CHECK((lost.cause() == pinion::WorkerLost::Cause::abandoned));
    CHECK(lost.pid() == pid);
    CHECK(text.rfind("task 1 was lost: worker 0 (pid " + std::to_string(pid) + ") ", 0) == 0);
    CHECK(text.find("did not end within 1 s") != text.npos);
    CHECK(text.find("was abandoned") != text.npos);
    CHECK(text.find("Submit it again") != text.npos);
  }
  CHECK_THROWS_AS(stuck.get(10s), pinion::TaskTimeout);
  files.thaw();
  CHECK(eventually([&] { return children().size() == 2; }));  // the nursery and one worker
  check_rest(pool);
}

TEST_CASE_FIXTURE(NothingLeft, "a pool ends in time although a worker cannot be killed") {
  FrozenFiles files;
  if (!files.frozen()) {
    checks::skip("no file system can be frozen here");
    return;
  }
  pid_t stuck_pid = 0;
  {
    CheckedPool pool(pinion::PoolOptions{.processes = 1});
    stuck_pid = pool.workers()[0].pid;
    auto stuck = pool.apply_async(write_to, files.file());
    REQUIRE(eventually([&] { return sleeps_in_kernel(stuck_pid); }));
    pool.terminate();
    CHECK(pool.join(5s));
    CHECK_THROWS_AS(stuck.get(), pinion::PoolTerminated);
    CHECK(pool.stats().abandoned == 1);
  }
  files.thaw();
  int status = 0;
  CHECK(::waitpid(stuck_pid, &status, 0) == stuck_pid);  // nobody but us knows it any more
  CHECK(WIFSIGNALED(status));
}
