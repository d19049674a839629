// The processes that a test sees in /proc.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

namespace checks {

struct Process {
  pid_t pid;
  std::string name;
  char state;  // as in /proc/PID/stat: R, S, D, T, Z
  pid_t parent;
};

/// Empty where there is none of that number.
inline std::optional<Process> process(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  if (!std::getline(file, text)) return std::nullopt;
  const auto open = text.find('(');
  const auto close = text.rfind(')');
  if (open == std::string::npos || close == std::string::npos) return std::nullopt;
  char state = '?';
  int parent = 0;
  if (std::sscanf(text.c_str() + close + 1, " %c %d", &state, &parent) != 2) return std::nullopt;
  return Process{pid, text.substr(open + 1, close - open - 1), state, parent};
}

inline std::vector<Process> processes() {
  std::vector<Process> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (auto one = process(std::stoi(name))) found.push_back(std::move(*one));
  }
  return found;
}

/// The living children of this process, zombies included.
inline std::vector<Process> children(pid_t parent = ::getpid()) {
  std::vector<Process> found = processes();
  std::erase_if(found, [&](const Process& p) { return p.parent != parent; });
  return found;
}

inline pid_t child_named(const std::string& name, pid_t parent = ::getpid()) {
  for (const Process& child : children(parent)) {
    if (child.name == name) return child.pid;
  }
  return 0;
}

/// Whether it runs, or could: neither gone nor a zombie.
inline bool lives(pid_t pid) {
  const auto found = process(pid);
  return found && found->state != 'Z' && found->state != 'X';
}

}  // namespace checks
