#include "summary.hpp"

#include <fmt/format.h>

namespace pinion::command {

void Summary::add(bool started, bool failed, unsigned worker) {
  ++jobs_;
  if (failed) ++failed_;
  if (!started) return;
  if (by_worker_.size() <= worker) by_worker_.resize(worker + 1U);
  ++by_worker_[worker];
}

std::string Summary::text(const std::vector<WorkerInfo>& workers) const {
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin_;
  std::string text =
      fmt::format("jobs        {}, {} failed\nwall time   {:.2f} s\njobs per s  {:.0f}\n", jobs_,
                  failed_, time.count(), static_cast<double>(jobs_) / time.count());
  for (const WorkerInfo& worker : workers) {
    const std::uint64_t jobs = worker.index < by_worker_.size() ? by_worker_[worker.index] : 0;
    std::string place;
    for (const unsigned cpu : worker.cpus)
      place += (place.empty() ? "CPU " : ",") + std::to_string(cpu);
    if (place.empty()) place = "not bound";
    text +=
        fmt::format("worker {:<4} {}: {} job{}\n", worker.index, place, jobs, jobs == 1 ? "" : "s");
  }
  return text;
}

}  // namespace pinion::command
