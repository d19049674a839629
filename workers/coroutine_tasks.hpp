// The coroutine tasks of a worker that are under way.
#pragma once

#include <pinion/detail/task_frame.hpp>

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "lib/loop/loop.hpp"
#include "lib/ring/messages.hpp"
#include "workers/plain_frame.hpp"

namespace pinion::workers {

class Worker;

/// Starts the items of coroutine tasks as the concurrency limit allows, enforces their time limits,
/// and answers a task when its last item has ended.
class CoroutineTasks {
 public:
  explicit CoroutineTasks(Worker& worker) : worker_(worker) {}
  ~CoroutineTasks();

  /// Takes a task up; only when `can_take()`.
  void take(const ring::TaskMessage& message, std::uint64_t position);
  /// No task waits to have its items started.
  [[nodiscard]] bool can_take() const noexcept { return starting_ == nullptr && !full(); }
  [[nodiscard]] bool full() const noexcept;
  [[nodiscard]] unsigned live() const noexcept { return live_; }
  /// Starts items of the task that still has unstarted ones. True if any was.
  bool start_more();
  /// Cancels what runs of the task at `position`, and starts no more of it.
  void cancel(std::uint64_t position);
  /// Cancels everything that runs, and starts no more.
  void cancel_all();
  /// Cancels items whose time has passed. Returns when the next one's will have.
  std::int64_t expire(std::int64_t now_ns);
  [[nodiscard]] bool timed() const noexcept { return !deadlines_.empty(); }
  [[nodiscard]] std::int64_t next_deadline() const noexcept;

  struct Task;
  struct Item;

 private:
  friend struct Item;
  void cancel(Task& task);
  [[nodiscard]] bool may_start(Task& task) noexcept;
  void start_item(Task& task);
  void limit_time(Task& task, Item& item);
  void ended(Item& item) noexcept;
  void answer(Task& task);
  void answer_single(Task& task, Item& item);
  void stamp_oldest(Task& task) noexcept;

  struct Deadline {
    std::int64_t ns;
    Item* item;
  };

  Worker& worker_;
  Task* starting_ = nullptr;
  unsigned live_ = 0;
  std::unordered_map<std::uint64_t, std::unique_ptr<Task>> tasks_;  // by position
  std::vector<Deadline> deadlines_;                                 // few have limits: a plain list
  std::vector<std::unique_ptr<Item>> spare_;
};

}  // namespace pinion::workers
