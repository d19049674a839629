#include "lib/loop/timers.hpp"

namespace pinion::loop {

using detail::Operation;

namespace {

bool earlier(const Operation& a, const Operation& b) noexcept {
  if (a.deadline_ns != b.deadline_ns) return a.deadline_ns < b.deadline_ns;
  return a.sequence < b.sequence;
}

}  // namespace

void Timers::place(Operation& operation, std::size_t index) noexcept {
  heap_[index] = &operation;
  operation.heap_index = index;
}

void Timers::sift_up(Operation& operation, std::size_t index) noexcept {
  while (index > 0) {
    const std::size_t parent = (index - 1) / 2;
    if (!earlier(operation, *heap_[parent])) break;
    place(*heap_[parent], index);
    index = parent;
  }
  place(operation, index);
}

void Timers::sift_down(Operation& operation, std::size_t index) noexcept {
  for (;;) {
    std::size_t child = 2 * index + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && earlier(*heap_[child + 1], *heap_[child])) ++child;
    if (!earlier(*heap_[child], operation)) break;
    place(*heap_[child], index);
    index = child;
  }
  place(operation, index);
}

void Timers::add(Operation& operation) {
  operation.sequence = next_sequence_++;
  heap_.push_back(&operation);
  sift_up(operation, heap_.size() - 1);
}

void Timers::remove(Operation& operation) noexcept {
  const std::size_t index = operation.heap_index;
  Operation& last = *heap_.back();
  heap_.pop_back();
  if (&last == &operation) return;
  sift_up(last, index);
  sift_down(last, last.heap_index);
}

Operation* Timers::pop_due(std::int64_t now_ns) noexcept {
  if (heap_.empty() || heap_.front()->deadline_ns > now_ns) return nullptr;
  Operation* const first = heap_.front();
  remove(*first);
  return first;
}

}  // namespace pinion::loop
