// What --summary says at the end of a run.
#pragma once

#include <pinion/info.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace pinion::command {

class Summary {
 public:
  /// A job has run in this worker; `started` is false for one that was not run at all.
  void add(bool started, bool failed, unsigned worker);

  /// Jobs, time, rate, and which CPUs the jobs were bound to: one line each.
  [[nodiscard]] std::string text(const std::vector<WorkerInfo>& workers) const;

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::uint64_t jobs_ = 0;
  std::uint64_t failed_ = 0;
  std::vector<std::uint64_t> by_worker_;
};

}  // namespace pinion::command
