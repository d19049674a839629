#include "workers/coroutine_item.hpp"

#include <new>

#include "workers/chunk_errors.hpp"

namespace pinion::workers {

std::byte* CoroutineTasks::Item::block(std::size_t bytes) {
  Worker& worker = task->owner.worker_;
  if (task->message.count == 1 && bytes <= detail::inline_bytes_max) {
    inline_bytes = static_cast<std::uint32_t>(bytes);
    return inline_value;
  }
  if (task->message.count != 1 && task->frame.result_stride != detail::TaskFrame::variable) {
    return worker.space().at(task->blocks[0].offset) + sizeof(shm::ChunkBlock) +
           std::uint64_t{index} * task->frame.result_stride;
  }
  const std::uint64_t offset = worker.take_space(task->message.flight, bytes);
  blocks.push_back({offset, bytes});
  return worker.space().at(offset);
}

void CoroutineTasks::Item::failed(std::exception_ptr what) noexcept {
  outcome = How::error;
  if (cancelled || timed_out) {
    try {
      std::rethrow_exception(what);
    } catch (const Cancelled&) {
      outcome = timed_out ? How::timed_out : How::cancelled;
      return;
    } catch (...) {  // its own error, thrown while it was being cancelled
    }
  }
  error = task->owner.worker_.encode_failure(what, task->message.first + index);
}

void CoroutineTasks::Item::coroutine_ended(void* argument) noexcept {
  auto& item = *static_cast<Item*>(argument);
  item.task->owner.ended(item);
}

CoroutineTasks::Task::Task(CoroutineTasks& tasks, const ring::TaskMessage& m, std::uint64_t at)
    : owner(tasks), message(m), position(at) {
  Worker& worker = owner.worker_;
  // The slot's own bytes are copied: the message moves with this object, the frame points into it.
  const auto bytes = worker.arguments_of(message);
  frame.arguments = bytes.data();
  frame.argument_bytes = bytes.size();
  frame.code = &worker.code();
  frame.first = message.first;
  frame.count = message.count;
  thunk = worker.thunk_of(message);
}

bool CoroutineTasks::Task::begin() noexcept {
  if (begun || message.count == 1) return true;
  if (!begin_error.empty()) return false;
  Worker& worker = owner.worker_;
  const std::uint64_t bytes = shm::chunk_block_bytes(message.count, frame.result_stride, true);
  try {
    blocks.push_back({worker.take_space(message.flight, bytes), bytes});
  } catch (...) {
    begin_error = worker.encode_current_exception(message.first);
    if (begin_error.empty()) begin_error.resize(1);  // decodes as garbage, which is an error too
    stopped_at = next_item;
    return false;
  }
  std::byte* const memory = worker.space().at(blocks[0].offset);
  std::memset(memory, 0, bytes);
  new (memory) shm::ChunkBlock{};
  shm::WorkerFlight& flight = worker.flight(message.flight);
  flight.block.store(blocks[0].offset, std::memory_order_relaxed);
  flight.chunk.store(position + 1, std::memory_order_release);
  begun = true;
  return true;
}

void CoroutineTasks::Task::mark(std::uint32_t i, shm::ItemMark mark) noexcept {
  if (message.count == 1) return;
  std::byte* const memory = owner.worker_.space().at(blocks[0].offset);
  auto* const marks = reinterpret_cast<std::atomic<std::uint8_t>*>(
      memory + shm::marks_at(message.count, frame.result_stride));
  marks[i].store(mark, std::memory_order_release);
}

void CoroutineTasks::Task::record(Item& item) noexcept {
  if (!begun) return;
  Worker& worker = owner.worker_;
  if (item.outcome == Item::How::value) {
    if (frame.result_stride == detail::TaskFrame::variable) {
      std::byte* const memory = worker.space().at(blocks[0].offset);
      auto* const refs = reinterpret_cast<shm::ValueRef*>(memory + sizeof(shm::ChunkBlock));
      refs[item.index].bytes = item.blocks[0].bytes;
      refs[item.index].offset.store(item.blocks[0].offset, std::memory_order_release);
    }
  } else {
    const auto kind = item.outcome == Item::How::error       ? shm::ItemError::exception
                      : item.outcome == Item::How::cancelled ? shm::ItemError::cancelled
                                                             : shm::ItemError::timed_out;
    record_error(worker, blocks, message.flight, item.index, kind, item.error);
  }
  blocks.insert(blocks.end(), item.blocks.begin(), item.blocks.end());
  mark(item.index, shm::item_ended);
}

std::uint32_t CoroutineTasks::Task::end() const noexcept {
  const std::uint64_t word =
      owner.worker_.verdict(message.flight).limit.load(std::memory_order_acquire);
  const std::uint32_t limit = ring::limit_of(word, position, message.count);
  return limit < stopped_at ? limit : stopped_at;
}

}  // namespace pinion::workers
