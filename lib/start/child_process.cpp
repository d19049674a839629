#include "lib/start/child_process.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <stdio_ext.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace pinion::start {

void die_with_parent(pid_t parent) noexcept {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(125);  // it had died before the signal was armed
}

void block_inherited_descriptors(std::span<const int> keep) noexcept {
  const int blocked = ::open("/", O_PATH | O_CLOEXEC);
  DIR* list = ::opendir("/proc/self/fd");
  if (blocked < 0 || list == nullptr) {
    if (list != nullptr) ::closedir(list);
    return;
  }
  std::vector<int> found;
  while (const dirent* entry = ::readdir(list)) {
    char* end = nullptr;
    const long fd = std::strtol(entry->d_name, &end, 10);
    if (end == entry->d_name || fd <= 2 || fd == ::dirfd(list) || fd == blocked) continue;
    if (std::find(keep.begin(), keep.end(), static_cast<int>(fd)) != keep.end()) continue;
    found.push_back(static_cast<int>(fd));
  }
  ::closedir(list);
  for (const int fd : found) ::dup3(blocked, fd, O_CLOEXEC);
  ::close(blocked);
}

void reset_signals() noexcept {
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction now {};
    if (::sigaction(signal, nullptr, &now) != 0) continue;
    if (now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN) continue;
    now = {};
    now.sa_handler = SIG_DFL;
    ::sigaction(signal, &now, nullptr);
  }
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

void discard_inherited_output() noexcept {
  ::__fpurge(stdout);
  ::__fpurge(stderr);
}

}  // namespace pinion::start
