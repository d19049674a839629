#include "lib/pool/stream_job.hpp"

#include <pinion/errors.hpp>

#include <utility>

namespace pinion::pool {

using detail::StreamItem;

StreamJob::StreamJob(detail::StreamCall call, bool in_order)
    : call_(std::move(call)), in_order_(in_order) {
  thunk = call_.thunk;
  coroutine = call_.coroutine;
  result_stride = call_.result_stride;
  open = streams = true;
}

std::size_t StreamJob::chunk_bytes(std::uint64_t first, std::uint32_t count) const {
  std::size_t bytes = call_.callable.size();
  for (std::uint64_t i = first; i < first + count; ++i) {
    const detail::StreamArgument& argument = at(i).argument;
    if (argument.error != nullptr) std::rethrow_exception(argument.error);
    bytes += argument.bytes.size() + (call_.items_have_sizes ? sizeof(std::uint64_t) : 0);
  }
  return bytes;
}

void StreamJob::write_chunk(std::uint64_t first, std::uint32_t count,
                            detail::Writer& writer) const {
  writer.bytes(call_.callable.data(), call_.callable.size());
  for (std::uint64_t i = first; i < first + count; ++i) {
    const detail::PackedBytes& bytes = at(i).argument.bytes;
    if (call_.items_have_sizes) writer.count(bytes.size());
    writer.bytes(bytes.data(), bytes.size());
  }
}

StreamJob::Item* StreamJob::find(std::uint64_t index) noexcept {
  const auto found = items_.find(index);
  return found == items_.end() || found->second.ended ? nullptr : &found->second;
}

/// Its arguments are needed no more, and its outcome can be taken at its turn.
void StreamJob::end(std::uint64_t index, Item& item) noexcept {
  item.ended = true;
  item.outcome.arrays = std::move(item.argument.arrays);
  item.argument = {};
  item.outcome.index = index;
  std::uint64_t more = 1;
  if (!in_order_) {
    ended_.push_back(index);
  } else if (index != next_ready_) {
    return;
  } else {
    const auto follows = [this] {
      const auto next = items_.find(next_ready_);
      return next != items_.end() && next->second.ended;
    };
    for (++next_ready_; follows(); ++next_ready_) ++more;
  }
  ready_.store(ready_.load(std::memory_order_relaxed) + more, std::memory_order_release);
}

void StreamJob::take_value(std::uint64_t item, std::span<const std::byte> bytes) {
  Item* const found = find(item);
  if (found == nullptr) return;
  const bool fixed = result_stride != detail::TaskFrame::variable;
  if (fixed && bytes.size() != result_stride) {
    throw EncodingError("a worker sent a result of the wrong size");
  }
  found->outcome.bytes.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  end(item, *found);
}

void StreamJob::take_values(std::uint64_t first, std::uint32_t count, const std::byte* bytes) {
  for (std::uint32_t i = 0; i < count; ++i) {
    Item* const found = find(first + i);
    if (found == nullptr) continue;
    try {
      found->outcome.bytes.assign(
          reinterpret_cast<const char*>(bytes) + std::size_t{i} * result_stride, result_stride);
    } catch (...) {  // no memory
      found->outcome.error = std::current_exception();
    }
    end(first + i, *found);
  }
}

void StreamJob::take_remote_error(std::uint64_t item, std::span<const std::byte> bytes) noexcept {
  Item* const found = find(item);
  if (found == nullptr) return;
  try {
    found->outcome.bytes.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    found->outcome.remote_error = true;
  } catch (...) {  // no memory for its text
    found->outcome.error = std::current_exception();
  }
  end(item, *found);
}

void StreamJob::take_error(std::uint64_t first, std::uint32_t count,
                           const std::exception_ptr& error) noexcept {
  for (std::uint64_t i = first; i < first + count; ++i) {
    Item* const found = find(i);
    if (found == nullptr) continue;
    found->outcome.error = error;
    end(i, *found);
  }
}

void StreamJob::take_stop(std::uint64_t first, std::uint32_t count,
                          const std::exception_ptr& error) noexcept {
  take_error(first, count, error);
}

void StreamJob::add(std::vector<detail::StreamArgument>&& arguments) {
  const std::size_t more = arguments.size();
  if (!in_order_ && ended_.capacity() < items_.size() + more) {
    ended_.set_capacity(2 * (items_.size() + more));
  }
  std::uint64_t index = added_;
  try {
    for (; index < added_ + more; ++index) items_.try_emplace(index);
  } catch (...) {
    while (index-- > added_) items_.erase(index);
    throw;
  }
  for (auto& argument : arguments) items_.find(added_++)->second.argument = std::move(argument);
  outstanding_.store(outstanding_.load(std::memory_order_relaxed) + more,
                     std::memory_order_release);
}

bool StreamJob::take(StreamItem& item) {
  const std::uint64_t ready = ready_.load(std::memory_order_relaxed);
  if (ready == 0) return false;
  const std::uint64_t index = in_order_ ? next_taken_++ : ended_.front();
  if (!in_order_) ended_.pop_front();
  const auto found = items_.find(index);
  item = std::move(found->second.outcome);
  items_.erase(found);
  ready_.store(ready - 1, std::memory_order_relaxed);
  outstanding_.store(outstanding_.load(std::memory_order_relaxed) - 1, std::memory_order_release);
  return true;
}

}  // namespace pinion::pool
