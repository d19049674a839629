#include "lib/start/host_threads.hpp"

#include <dirent.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <pinion/errors.hpp>

#include <fstream>
#include <string>

namespace pinion::start {

namespace {

/// Threads of ours hold no lock that a child could miss. Callback threads run user code.
bool harmless(const std::string& name) {
  return name == "pinion-service" || name == "pinion-helper";
}

}  // namespace

std::string other_thread() {
  DIR* list = ::opendir("/proc/self/task");
  if (list == nullptr) return {};  // no /proc: nothing can be said
  const std::string self = std::to_string(::syscall(SYS_gettid));
  std::string other;
  while (const dirent* entry = ::readdir(list)) {
    const std::string id(entry->d_name);
    if (id[0] == '.' || id == self) continue;
    std::ifstream file("/proc/self/task/" + id + "/comm");
    std::string name;
    if (std::getline(file, name) && !harmless(name)) other = name;
  }
  ::closedir(list);
  return other;
}

void require_no_other_threads() {
  const std::string other = other_thread();
  if (other.empty()) return;
  throw StartError(
      "the program has other threads (one is named \"" + other +
      "\"), so its workers cannot be made by fork: make the pool before the first thread, or "
      "before the library that makes threads is initialised, or use the start method forkserver");
}

}  // namespace pinion::start
