#include "lib/pool/task_errors.hpp"

#include <pinion/errors.hpp>

#include <string>

namespace pinion::pool {

namespace {

std::string text_of(TaskName task) {
  const std::string number = "task " + std::to_string(task.number);
  return task.item ? "item " + std::to_string(*task.item) + " of " + number : number;
}

/// "1500 ms", "20 us": the largest unit without a fraction.
std::string text_of(const TimeLimit& limit) {
  const std::int64_t ns = limit.ns();
  if (ns % 1'000'000'000 == 0) return std::to_string(ns / 1'000'000'000) + " s";
  if (ns % 1'000'000 == 0) return std::to_string(ns / 1'000'000) + " ms";
  if (ns % 1'000 == 0) return std::to_string(ns / 1'000) + " us";
  return std::to_string(ns) + " ns";
}

}  // namespace

std::exception_ptr timeout_error(TaskName task, const TaskOptions& options, const Lane& lane,
                                 TimedOut how) noexcept {
  try {
    std::string text = text_of(task) + " ran longer than its timeout of " +
                       text_of(options.timeout) + " in worker " + std::to_string(lane.index) +
                       " (pid " + std::to_string(lane.pid) + ")";
    if (how == TimedOut::killed) {
      text += " and did not stop within the grace of " + text_of(options.grace) +
              ", so the worker was killed";
    }
    text += ". Raise TaskOptions::timeout if it may take longer.";
    return std::make_exception_ptr(TaskTimeout(text));
  } catch (...) {  // no memory for the text
    return std::current_exception();
  }
}

std::exception_ptr cancelled_error(TaskName task) noexcept {
  try {
    return std::make_exception_ptr(Cancelled(text_of(task) + " was cancelled"));
  } catch (...) {
    return std::current_exception();
  }
}

std::exception_ptr arena_shortage(const Arena& arena, std::uint64_t bytes) {
  return std::make_exception_ptr(
      ResourceError("PoolOptions::arena_bytes",
                    std::to_string(arena.limit()) + " bytes where arguments of " +
                        std::to_string(bytes) + " bytes were to be sent",
                    "raise the limit, send less at once, or use smaller chunks"));
}

}  // namespace pinion::pool
