#include "lib/loop/spawn.hpp"

#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>

#include "lib/loop/child_entry.hpp"
#include "lib/os/error.hpp"
#include "lib/os/pidfd.hpp"

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif

namespace pinion::loop {

namespace {

// The child makes a dozen system calls; the largest thing on its stack is a 2 KiB buffer.
constexpr std::size_t stack_bytes = 64 * 1024;

/// The stack of this thread's children: they run one at a time, since each stops the thread.
class ChildStack {
 public:
  ChildStack() {
    const auto guard = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    bytes_ = stack_bytes + guard;
    void* const memory = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) os::throw_errno("mapping a stack for child processes");
    memory_ = memory;
    if (::mprotect(memory_, guard, PROT_NONE) != 0) {
      ::munmap(memory_, bytes_);
      os::throw_errno("protecting a stack for child processes");
    }
  }
  ChildStack(const ChildStack&) = delete;
  ChildStack& operator=(const ChildStack&) = delete;
  ~ChildStack() { ::munmap(memory_, bytes_); }

  [[nodiscard]] void* top() const noexcept { return static_cast<char*>(memory_) + bytes_; }

 private:
  void* memory_ = nullptr;
  std::size_t bytes_ = 0;
};

/// All signals, also those that the C library keeps for itself: a handler must not run in the
/// child, in the parent's memory.
class SignalsBlocked {
 public:
  SignalsBlocked() noexcept {
    const std::uint64_t all = ~std::uint64_t{0};
    (void)::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before_, sizeof all);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() {
    (void)::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before_, nullptr, sizeof before_);
  }

 private:
  std::uint64_t before_ = 0;
};

void reap_failed(pid_t pid) noexcept {
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

/// The pidfd of a child that was made without one; its number cannot be another's before it is
/// reaped, and only we reap it.
os::Fd pidfd_of(pid_t pid) {
  try {
    return os::open_pidfd(pid);
  } catch (...) {
    (void)::kill(pid, SIGKILL);
    reap_failed(pid);
    throw;
  }
}

}  // namespace

Spawned start_process(const io::SpawnRequest& request) {
  static thread_local const ChildStack stack;
  const ChildImage image(request);
  ChildCall call{image};
  constexpr int flags = CLONE_VM | CLONE_VFORK | SIGCHLD;
  int pidfd = -1;
  pid_t pid = -1;
  int error = 0;
  {
    const SignalsBlocked blocked;
    // The old call: clone3 is refused in containers.
    pid = ::clone(child_entry, stack.top(), flags | CLONE_PIDFD, &call, &pidfd);
    if (pid < 0 && errno == EINVAL) pid = ::clone(child_entry, stack.top(), flags, &call);
    if (pid < 0) error = errno;
  }
  if (pid < 0) os::throw_errno(error, "making a process for " + request.argv.front());
  os::Fd descriptor(pidfd);
  if (call.failed != ChildStep::none) {
    reap_failed(pid);
    os::throw_errno(call.error, image.describe(call.failed));
  }
  if (!descriptor) descriptor = pidfd_of(pid);
  return {pid, std::move(descriptor)};
}

}  // namespace pinion::loop
