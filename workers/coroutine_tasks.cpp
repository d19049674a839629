#include "workers/coroutine_tasks.hpp"

#include <pinion/errors.hpp>

#include <algorithm>
#include <cstring>
#include <new>

#include "lib/os/clock.hpp"
#include "workers/chunk_errors.hpp"
#include "workers/coroutine_item.hpp"
#include "workers/worker.hpp"

namespace pinion::workers {

CoroutineTasks::~CoroutineTasks() = default;

bool CoroutineTasks::full() const noexcept { return live_ >= worker_.child_concurrency(); }

void CoroutineTasks::take(const ring::TaskMessage& message, std::uint64_t position) {
  auto task = std::make_unique<Task>(*this, message, position);
  starting_ = task.get();
  tasks_.emplace(position, std::move(task));
  start_more();
}

bool CoroutineTasks::start_more() {
  bool any = false;
  while (starting_ != nullptr && !full()) {
    Task& task = *starting_;
    if (!may_start(task)) break;
    start_item(task);
    any = true;
    if (starting_ == &task && task.next_item >= task.end()) starting_ = nullptr;
  }
  return any;
}

/// A thread may be abandoned at any moment: EDGE claim, with the item's mark for `claimed`. Until
/// the chunk has begun, its first item counts as started.
bool CoroutineTasks::may_start(Task& task) noexcept {
  if (!worker_.is_local()) [[likely]]
    return true;
  if (task.begun) task.mark(task.next_item, shm::item_started);
  if (!worker_.abandoned_behind_barrier()) return true;
  if (task.begun) task.mark(task.next_item, shm::item_unstarted);
  task.stopped_at = task.next_item;
  starting_ = nullptr;
  return false;
}

void CoroutineTasks::start_item(Task& task) {
  auto owner = spare_.empty() ? std::make_unique<Item>() : std::move(spare_.back());
  if (!spare_.empty()) spare_.pop_back();
  Item& item = *owner;
  item.reset(task, task.next_item++);
  ++live_;
  ++task.live;
  task.items.push_back(std::move(owner));
  task.frame.item = item.index;
  task.frame.sink = &item;
  task.frame.coroutine = {};
  // From here on it has started: decoding is user code, too. Until the chunk has begun, the manager
  // takes its first item for started.
  if (task.begun) task.mark(item.index, shm::item_started);
  try {
    task.thunk(task.frame);
  } catch (...) {  // its arguments do not decode
    item.failed(std::current_exception());
  }
  if (!task.begin() || item.outcome != Item::How::value) {
    if (task.frame.coroutine) task.frame.coroutine.destroy();
    ended(item);
    return;
  }
  task.mark(item.index, shm::item_started);
  if (task.timed()) limit_time(task, item);
  worker_.loop().start(item.root, task.frame.coroutine);
}

void CoroutineTasks::limit_time(Task& task, Item& item) {
  item.started_ns = os::now_ns();
  stamp_oldest(task);
  const auto limit =
      worker_.verdict(task.message.flight).timeout_ns.load(std::memory_order_relaxed);
  deadlines_.push_back({os::add_ns(item.started_ns, static_cast<std::int64_t>(limit)), &item});
}

void CoroutineTasks::ended(Item& item) noexcept {
  Task& task = *item.task;
  --live_;
  --task.live;
  std::erase_if(deadlines_, [&](const Deadline& d) { return d.item == &item; });
  if (task.message.count == 1) {
    answer_single(task, item);
  } else {
    task.record(item);
  }
  const auto it = std::find_if(task.items.begin(), task.items.end(),
                               [&](const auto& owner) { return owner.get() == &item; });
  auto owner = std::move(*it);
  task.items.erase(it);
  if (spare_.size() < 64) spare_.push_back(std::move(owner));
  if (task.timed()) stamp_oldest(task);
  if (task.live == 0 && (task.message.count == 1 || task.next_item >= task.end())) {
    if (starting_ == &task) starting_ = nullptr;
    if (task.message.count != 1) answer(task);
    tasks_.erase(task.position);
  }
}

void CoroutineTasks::answer_single(Task& task, Item& item) {
  ring::ResultMessage message{};
  message.flight = task.message.flight;
  message.position = task.position;
  message.items_done = 1;
  switch (item.outcome) {
    case Item::How::value:
      message.kind = ring::ResultKind::value;
      if (item.blocks.empty()) {
        message.flags = ring::result_is_inline;
        message.inline_bytes = item.inline_bytes;
        std::memcpy(message.payload.inline_bytes, item.inline_value, item.inline_bytes);
        worker_.publish(message, {});
      } else {
        message.payload.block = {item.blocks[0].offset, item.blocks[0].bytes};
        worker_.publish(message, item.blocks, true);
      }
      return;
    case Item::How::error:
      worker_.publish_error(task.message, task.position, item.error, std::move(item.blocks));
      return;
    case Item::How::cancelled:
    case Item::How::timed_out:
      message.kind = item.outcome == Item::How::cancelled ? ring::ResultKind::cancelled
                                                          : ring::ResultKind::timed_out;
      worker_.publish(message, {});
      return;
  }
}

void CoroutineTasks::answer(Task& task) {
  ring::ResultMessage message{};
  message.flight = task.message.flight;
  message.position = task.position;
  message.items_done = task.next_item;
  if (!task.begun) {  // there was no memory for the block: the error is that of every item
    worker_.publish_error(task.message, task.position, task.begin_error);
    return;
  }
  message.kind = ring::ResultKind::chunk;
  message.payload.block = {task.blocks[0].offset, task.blocks[0].bytes};
  worker_.publish(message, task.blocks);
}

void CoroutineTasks::cancel(std::uint64_t position) {
  const auto it = tasks_.find(position);
  if (it == tasks_.end()) return;  // it has ended
  Task& task = *it->second;
  cancel(task);
  if (task.live != 0 || task.message.count == 1) return;  // the last item to end answers
  answer(task);  // caught between two items: none is there to do it
  tasks_.erase(it);
}

void CoroutineTasks::cancel_all() {
  for (const auto& [position, task] : tasks_) cancel(*task);
}

void CoroutineTasks::cancel(Task& task) {
  task.stopped_at = task.next_item;
  if (starting_ == &task) starting_ = nullptr;
  for (const auto& item : task.items) {
    item->cancelled = true;
    worker_.loop().cancel(item->root);
  }
}

std::int64_t CoroutineTasks::expire(std::int64_t now_ns) {
  for (std::size_t i = 0; i < deadlines_.size();) {
    if (deadlines_[i].ns > now_ns) {
      ++i;
      continue;
    }
    Item& item = *deadlines_[i].item;
    deadlines_[i] = deadlines_.back();
    deadlines_.pop_back();
    item.timed_out = true;
    worker_.loop().cancel(item.root);
  }
  return next_deadline();
}

std::int64_t CoroutineTasks::next_deadline() const noexcept {
  std::int64_t next = os::never_ns;
  for (const Deadline& d : deadlines_) next = std::min(next, d.ns);
  return next;
}

void CoroutineTasks::stamp_oldest(Task& task) noexcept {
  std::int64_t oldest = 0;  // 0: nothing of it runs
  for (const auto& item : task.items) {
    if (oldest == 0 || item->started_ns < oldest) oldest = item->started_ns;
  }
  worker_.stamp(task.message.flight, static_cast<std::uint64_t>(oldest));
}

}  // namespace pinion::workers
