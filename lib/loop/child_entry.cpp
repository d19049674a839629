#include "lib/loop/child_entry.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>

extern "C" char** environ;

// Sanitizers would note redzones on a stack that is left by exec and not by returning.
#define PINION_ON_BORROWED_STACK __attribute__((no_sanitize("address", "undefined", "thread")))

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

namespace pinion::loop {

namespace {

constexpr int first_hidden_fd = 3;
constexpr int signals_end = 65;

// The kernel's own struct sigaction: the C library's function does not take all signals.
struct KernelSigaction {
  void (*handler)(int);
  unsigned long flags;
#if defined(__x86_64__)
  void (*restorer)();
#endif
  std::uint64_t mask;
};

PINION_ON_BORROWED_STACK bool restored(const ChildDefaults& defaults, int signal) noexcept {
  return (signal == SIGINT && defaults.restore_sigint) ||
         (signal == SIGPIPE && defaults.restore_sigpipe);
}

/// Handlers of this process must not run in the child: the exec resets them, but signals are let
/// in before it.
PINION_ON_BORROWED_STACK void reset_signals(const ChildDefaults& defaults) noexcept {
  for (int signal = 1; signal < signals_end; ++signal) {
    KernelSigaction action{};
    if (::syscall(SYS_rt_sigaction, signal, nullptr, &action, sizeof action.mask) != 0) continue;
    if (action.handler == SIG_DFL) continue;
    if (action.handler == SIG_IGN && !restored(defaults, signal)) continue;
    action = KernelSigaction{};
    (void)::syscall(SYS_rt_sigaction, signal, &action, nullptr, sizeof action.mask);
  }
}

PINION_ON_BORROWED_STACK int parse_number(const char* text) noexcept {
  int value = 0;
  for (; *text != '\0'; ++text) {
    if (*text < '0' || *text > '9') return -1;
    value = 10 * value + (*text - '0');
  }
  return value;
}

/// Before Linux 5.11: the list that the kernel keeps.
PINION_ON_BORROWED_STACK bool hide_listed() noexcept {
  const int list = ::open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (list < 0) return false;
  alignas(8) char buffer[2048];
  constexpr int length_at = 16;  // of struct linux_dirent64: inode, offset, length, type, name
  constexpr int name_at = 19;
  for (;;) {
    const long bytes = ::syscall(SYS_getdents64, list, buffer, sizeof buffer);
    if (bytes <= 0) return bytes == 0;
    for (long at = 0; at < bytes;) {
      const int fd = parse_number(buffer + at + name_at);
      if (fd >= first_hidden_fd) (void)::fcntl(fd, F_SETFD, FD_CLOEXEC);
      at += *reinterpret_cast<const unsigned short*>(buffer + at + length_at);
    }
  }
}

/// Whatever the host program left open without close-on-exec stays out of the child.
PINION_ON_BORROWED_STACK bool hide_descriptors() noexcept {
  return ::syscall(SYS_close_range, first_hidden_fd, ~0U, CLOSE_RANGE_CLOEXEC) == 0 ||
         hide_listed();
}

PINION_ON_BORROWED_STACK bool place_descriptors(const io::SpawnRequest& request) noexcept {
  int sources[3] = {request.stdin_fd, request.stdout_fd, request.stderr_fd};
  if (sources[0] < 0) {
    sources[0] = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (sources[0] < 0) return false;
  }
  // A source among 0 to 2 must not be overwritten before it was copied.
  for (int target = 0; target < first_hidden_fd; ++target) {
    int& source = sources[target];
    if (source < 0 || source >= first_hidden_fd || source == target) continue;
    source = ::fcntl(source, F_DUPFD_CLOEXEC, first_hidden_fd);
    if (source < 0) return false;
  }
  for (int target = 0; target < first_hidden_fd; ++target) {
    const int source = sources[target];
    if (source < 0) continue;
    const int rc = source == target ? ::fcntl(target, F_SETFD, 0) : ::dup2(source, target);
    if (rc < 0) return false;
  }
  return hide_descriptors();
}

PINION_ON_BORROWED_STACK void execute(const ChildImage& image) noexcept {
  char* const* const environment = image.request.environment ? image.environment.data() : environ;
  const std::uint64_t none_blocked = 0;
  (void)::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none_blocked, nullptr, sizeof none_blocked);
  bool denied = false;
  const char* const* const end = image.program_paths.data() + image.program_paths.size();
  for (const char* const* path = image.program_paths.data(); path != end; ++path) {
    ::execve(*path, image.argv.data(), environment);
    if (errno == EACCES) denied = true;
    if (errno != EACCES && errno != ENOENT && errno != ENOTDIR) return;
  }
  if (denied) errno = EACCES;  // one was there, and that says more than that others were not
}

PINION_ON_BORROWED_STACK ChildStep become(const ChildImage& image) noexcept {
  const io::SpawnRequest& request = image.request;
  if (request.process_group && ::setpgid(0, 0) != 0) return ChildStep::group;
  if (!request.working_directory.empty() && ::chdir(request.working_directory.c_str()) != 0)
    return ChildStep::directory;
  if (!place_descriptors(request)) return ChildStep::descriptors;
  if (image.defaults.nofile && ::setrlimit(RLIMIT_NOFILE, &*image.defaults.nofile) != 0)
    return ChildStep::limits;
  reset_signals(image.defaults);
  execute(image);
  return ChildStep::program;
}

}  // namespace

PINION_ON_BORROWED_STACK int child_entry(void* argument) noexcept {
  ChildCall& call = *static_cast<ChildCall*>(argument);
  call.failed = become(call.image);
  call.error = errno;
  ::_exit(127);
}

}  // namespace pinion::loop
