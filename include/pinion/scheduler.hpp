// Which worker gets the next task.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <type_traits>
#include <utility>

namespace pinion {

/// A worker that could take a task now, as a scheduler sees it.
struct WorkerLoad {
  unsigned worker = 0;        ///< its index
  std::uint32_t tasks = 0;    ///< given to it and not yet answered
  std::uint64_t work_ns = 0;  ///< what they are expected to cost; 0: not known
};

/// Chooses the worker for each task, or chunk of a map, that is not bound to one.
///
/// A function of your own gets the workers that have room now, in the order of their indices, and
/// returns which of them: a position in the span, taken modulo its size. It is called with the
/// pool's lock held, wherever a task is given out (in submits, waits, and the service thread), so
/// it is `noexcept`, short, and calls nothing of the pool; O(workers) for each task.
class Scheduler {
 public:
  using Choice = unsigned(std::span<const WorkerLoad>);
  enum class Kind : std::uint8_t { least_loaded, round_robin, own };

  Scheduler() = default;
  template <class F>
  requires(!std::is_same_v<std::decay_t<F>, Scheduler> &&
           std::is_invocable_r_v<unsigned, F&, std::span<const WorkerLoad>>)
      Scheduler(F own)  // NOLINT: implicit by design
      : kind_(Kind::own), choose_(std::move(own)) {
    static_assert(std::is_nothrow_invocable_r_v<unsigned, F&, std::span<const WorkerLoad>>,
                  "pinion: a scheduler runs where nothing can catch what it throws: declare it "
                  "noexcept.");
  }

  /// An idle worker, on another core than the caller's where there is one; else one after the other
  /// of those that have room. O(1). The default.
  static Scheduler least_loaded() { return {}; }
  /// One after the other of those that have room, idle or not. O(1).
  static Scheduler round_robin() {
    Scheduler scheduler;
    scheduler.kind_ = Kind::round_robin;
    return scheduler;
  }

  [[nodiscard]] Kind kind() const noexcept { return kind_; }
  /// Only of one's own.
  [[nodiscard]] unsigned choose(std::span<const WorkerLoad> loads) const noexcept {
    return choose_(loads);
  }

 private:
  Kind kind_ = Kind::least_loaded;
  std::function<Choice> choose_;
};

}  // namespace pinion
