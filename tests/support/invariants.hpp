// What must hold at the end of every test that makes pools (FAULTS: INV-1 to INV-9): the pool's
// accounts agree, and the process has what it had before, and nothing else.
#pragma once

#include <doctest/doctest.h>
#include <pinion/pool.hpp>

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "lib/pool/core.hpp"
#include "support/eventually.hpp"
#include "support/processes.hpp"

/// Opens a pool for tests.
struct pinion::detail::PoolAccess {
  static const pool::Core& core(const Pool& pool) {
    return static_cast<const pool::Core&>(*pool.core_);
  }
};

namespace checks {

/// What does not hold fails the test; in a forked child of it, whose checks nobody hears of, it
/// ends the child.
inline const pid_t test_process = ::getpid();
inline void fail_check(const std::string& what) {
  if (::getpid() != test_process) {
    std::fprintf(stderr, "in a child: %s\n", what.c_str());
    ::_exit(1);
  }
  FAIL_CHECK(what);
}

/// The pool's accounts (INV-1, 3, 7, 8): at any time. Its own assertions hold INV-2.
inline void check_accounts(const pinion::Pool& pool) {
  for (const std::string& what : pinion::detail::PoolAccess::core(pool).verify()) {
    fail_check(what);
  }
}

/// No wake-up was lost, whatever a worker did.
inline void check_harmed(const pinion::Pool& pool) {
  check_accounts(pool);
  const std::uint64_t late = pool.stats().late_wakeups;
  if (late != 0) fail_check("late_wakeups is " + std::to_string(late));
}

/// Nobody misbehaved, too.
inline void check_peace(const pinion::Pool& pool) {
  check_harmed(pool);
  const std::uint64_t breaches = pool.stats().protocol_breaches;
  if (breaches != 0) fail_check("protocol_breaches is " + std::to_string(breaches));
}

/// The account at rest: nothing is pending, and everything handed out has come back.
inline void check_rest(const pinion::Pool& pool) {
  CHECK(eventually([&] {
    return pool.stats().pending == 0 && pinion::detail::PoolAccess::core(pool).verify().empty();
  }));
  check_accounts(pool);
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

/// A field of a /proc file like "Name:  123 kB"; 0 where there is none.
inline long field_of(const char* path, const std::string& name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(name + ":", 0) == 0) return std::atol(line.c_str() + name.size() + 1);
  }
  return 0;
}

inline std::set<std::string> names_in(const char* directory) {
  std::set<std::string> names;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(directory, none)) {
    names.insert(entry.path().filename());
  }
  return names;
}

/// What was there before must be all that is there after: descriptors, threads, children (zombies
/// included), mappings, locked memory and names in /dev/shm (INV-4 to INV-6). The fixture of every
/// fault test, or made before its pools, so that it goes after them. What rings lock is not in
/// VmLck: the kernel counts it for the user, and does not show it; `limits` looks at it.
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
    CHECK(field_of("/proc/self/status", "VmLck") == locked_kib_);
    CHECK(names_in("/dev/shm") == shm_names_);
  }

 private:
  std::size_t threads_ = entries_of("/proc/self/task");
  std::size_t children_ = children().size();
  std::size_t descriptors_ = entries_of("/proc/self/fd");
  std::size_t mappings_ = arena_mappings();
  long locked_kib_ = field_of("/proc/self/status", "VmLck");
  std::set<std::string> shm_names_ = names_in("/dev/shm");
};

}  // namespace checks
