// What contract tests look at besides results: the pool's accounts, and what it leaves behind.
#pragma once

#include <doctest/doctest.h>
#include <unistd.h>
#include <pinion/pinion.hpp>

#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace checks {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

/// Whether `reached` becomes true in time.
template <class Reached>
bool eventually(Reached reached, std::chrono::milliseconds limit = 5s) {
  const auto end = Clock::now() + limit;
  while (!reached()) {
    if (Clock::now() > end) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

/// Every item accepted has ended or is pending, and no bell was lost.
inline void check_accounts(const pinion::Pool& pool) {
  const pinion::PoolStats stats = pool.stats();
  CHECK(stats.accepted == stats.completed + stats.failed + stats.pending);
  CHECK(stats.late_wakeups == 0);
  CHECK(stats.protocol_breaches == 0);
}

/// A pool whose accounts are checked at its end.
class CheckedPool : public pinion::Pool {
 public:
  using pinion::Pool::Pool;
  ~CheckedPool() {
    if (std::uncaught_exceptions() == 0) check_accounts(*this);
  }
};

struct Process {
  pid_t pid;
  std::string name;
  char state;
};

/// The living children of this process, zombies included.
inline std::vector<Process> children() {
  std::vector<Process> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "stat");
    std::string text;
    if (!std::getline(file, text)) continue;
    const auto open = text.find('(');
    const auto close = text.rfind(')');
    if (open == std::string::npos || close == std::string::npos) continue;
    char state = '?';
    int parent = 0;
    if (std::sscanf(text.c_str() + close + 1, " %c %d", &state, &parent) != 2) continue;
    if (parent != ::getpid()) continue;
    found.push_back({std::stoi(text), text.substr(open + 1, close - open - 1), state});
  }
  return found;
}

inline pid_t child_named(const std::string& name) {
  for (const Process& child : children()) {
    if (child.name == name) return child.pid;
  }
  return 0;
}

inline std::size_t entries_of(const char* directory) {
  const std::filesystem::directory_iterator all(directory);
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// Mappings of pinion's own memory.
inline std::size_t arena_mappings() {
  std::ifstream maps("/proc/self/maps");
  std::size_t count = 0;
  for (std::string line; std::getline(maps, line);) count += line.find("pinion") != line.npos;
  return count;
}

/// What was there before must be all that is there after, processes included.
class NothingLeft {
 public:
  NothingLeft() = default;
  NothingLeft(const NothingLeft&) = delete;
  NothingLeft& operator=(const NothingLeft&) = delete;
  ~NothingLeft() {
    // A thread that was joined leaves /proc a moment later.
    CHECK(eventually([&] { return entries_of("/proc/self/task") == threads_; }));
    CHECK(eventually([&] { return children().size() == children_; }));
    CHECK(entries_of("/proc/self/fd") == descriptors_);
    CHECK(arena_mappings() == mappings_);
  }

 private:
  std::size_t threads_ = entries_of("/proc/self/task");
  std::size_t children_ = children().size();
  std::size_t descriptors_ = entries_of("/proc/self/fd");
  std::size_t mappings_ = arena_mappings();
};

/// A generator whose seed stands in the test's output.
inline std::mt19937 seeded() {
  const unsigned seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  return std::mt19937(seed);
}

inline std::vector<int> numbers(int n) {
  std::vector<int> v(static_cast<std::size_t>(n));
  std::iota(v.begin(), v.end(), 0);
  return v;
}

/// The text of what `f` throws; empty if it does not.
template <class F>
std::string error_of(F f) {
  try {
    f();
  } catch (const std::exception& e) {
    return e.what();
  }
  return {};
}

/// What a result ended with: a value, or nothing where its worker was lost. Other errors go
/// through.
template <class T>
std::optional<T> value_unless_lost(const pinion::AsyncResult<T>& result,
                                   std::chrono::seconds limit = 10s) {
  try {
    return result.get(limit);
  } catch (const pinion::WorkerLost&) {
    return std::nullopt;
  }
}

}  // namespace checks
