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

#include "support/eventually.hpp"
#include "support/invariants.hpp"
#include "support/processes.hpp"
#include "support/seed.hpp"
#include "support/skipped.hpp"

namespace checks {

/// A pool whose accounts are checked at its end: nobody misbehaved, and no wake-up was lost.
class CheckedPool : public pinion::Pool {
 public:
  using pinion::Pool::Pool;
  ~CheckedPool() {
    if (std::uncaught_exceptions() == 0) check_peace(*this);
  }
};

/// The same for one in which a worker is to misbehave.
class HarmedPool : public pinion::Pool {
 public:
  using pinion::Pool::Pool;
  ~HarmedPool() {
    if (std::uncaught_exceptions() == 0) check_harmed(*this);
  }
};

inline bool workers_are_processes() {
  const auto method = pinion::default_start_method();
  return method != pinion::StartMethod::thread && method != pinion::StartMethod::serial;
}
/// Says that a case is left out where workers are no processes, or where `applies`, and why.
inline bool left_out(const std::string& why, bool applies = !workers_are_processes()) {
  if (applies) MESSAGE("left out: with this start method ", why);
  return applies;
}
inline bool runs_in_place() {
  return pinion::default_start_method() == pinion::StartMethod::serial;
}

/// The same where a call has run when it returns.
inline bool left_out_in_place(const std::string& why) { return left_out(why, runs_in_place()); }

/// Whether pools of this test have a process besides their workers.
inline bool pools_have_nursery() {
  return workers_are_processes() && pinion::default_start_method() != pinion::StartMethod::spawn;
}
/// How many processes a pool has.
inline std::size_t processes_with(std::size_t workers) {
  if (!workers_are_processes()) return 0;
  return workers + (pools_have_nursery() ? 1 : 0);
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
