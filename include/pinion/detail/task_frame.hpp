// What a worker hands to the code that a call site instantiated.
//
// The code decodes the arguments, runs the user's function, and writes the result straight into
// shared memory. Everything here is private memory of the worker but for what the pointers say.
#pragma once

#include <pinion/detail/api.hpp>
#include <pinion/detail/codec_io.hpp>

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>

namespace pinion::detail {

inline constexpr std::size_t inline_bytes_max = 32;

/// What the cursor is written upon. Tests put a model of memory in its place.
struct CursorAtomics {
  template <class T>
  using Word = std::atomic<T>;
  static void compiler_barrier() noexcept { std::atomic_signal_fence(std::memory_order_seq_cst); }
  static void full_fence() noexcept { std::atomic_thread_fence(std::memory_order_seq_cst); }
};

/// The items of a plain chunk, as the manager can see them after a death.
///
/// EDGE progress: the worker stores `progress`, then loads `limit`; the manager stores `limit`,
/// then loads `progress`.
template <class Atomics>
struct BasicChunkCursor {
  using Word = typename Atomics::template Word<std::uint64_t>;

  Word* progress = nullptr;     // items done << 32 | items started
  const Word* limit = nullptr;  // tag << 32 | first item not to start; or 0
  std::uint32_t tag = 0;
  std::uint32_t strip = 1;  // items that share one store
  bool asymmetric = false;  // the manager issues a membarrier between its store and its load

  /// How many of the items from `done` on may run now; 0 ends the chunk. Called before each strip.
  std::uint32_t advance(std::uint32_t done, std::uint32_t count) const noexcept {
    std::uint32_t n = count - done < strip ? count - done : strip;
    progress->store(static_cast<std::uint64_t>(done) << 32 | (done + n), std::memory_order_release);
    if (asymmetric) {
      Atomics::compiler_barrier();  // EDGE progress
    } else {
      Atomics::full_fence();
    }
    const std::uint64_t word = limit->load(std::memory_order_acquire);
    if (word == 0 || static_cast<std::uint32_t>(word >> 32) != tag) [[likely]]
      return n;
    const auto end = static_cast<std::uint32_t>(word);
    if (end <= done) return 0;
    return end - done < n ? end - done : n;
  }
};
using ChunkCursor = BasicChunkCursor<CursorAtomics>;

/// Where a coroutine item leaves its outcome. Implemented by the worker.
class CoroutineItem {
 public:
  /// Memory for the encoded value. Throws `ResourceError`.
  virtual std::byte* block(std::size_t bytes) = 0;
  virtual void succeeded() noexcept = 0;
  virtual void failed(std::exception_ptr error) noexcept = 0;

  /// Called with this item once the coroutine and all that it owned are gone.
  void (*on_end)(void* item) noexcept = nullptr;

 protected:
  ~CoroutineItem() = default;
};

class TaskFrame {
 public:
  const std::byte* arguments = nullptr;
  std::size_t argument_bytes = 0;
  CodeMap* code = nullptr;
  std::uint64_t first = 0;  // index of the first item
  std::uint32_t count = 1;
  std::uint32_t item = 0;  // the one that runs, from 0; of a coroutine task, the one to start

  // The outcome of a single item.
  alignas(8) std::byte inline_result[inline_bytes_max];
  std::uint32_t inline_bytes = 0;
  bool in_block = false;

  // Of a chunk of several items.
  ChunkCursor cursor;
  std::uint32_t done = 0;       // items that have an outcome
  bool timed = false;           // each item's start is stamped
  bool failed = false;          // an item has
  bool stops_at_error = false;  // then the chunk ends

  // Of a coroutine task: in, where the outcome goes; out, the coroutine that was made.
  CoroutineItem* sink = nullptr;
  std::coroutine_handle<> coroutine;
  std::size_t next_item_at = 0;     // where the next item's arguments begin
  std::uint32_t result_stride = 0;  // out, of a map: bytes of a value, or `variable`

  /// Memory for the encoded value of a single item: in the message itself where it fits.
  std::byte* result(std::size_t bytes) {
    if (bytes <= inline_bytes_max) {
      inline_bytes = static_cast<std::uint32_t>(bytes);
      return inline_result;
    }
    in_block = true;
    return block(bytes);
  }

  /// Begins the result block of a chunk: values of `stride` bytes each side by side, or of sizes
  /// that differ (`stride` is `variable`). Returns the first value's place. Throws `ResourceError`.
  static constexpr std::uint32_t variable = 0xffff'ffff;
  virtual std::byte* begin_chunk(std::uint32_t stride) = 0;
  /// Memory for item `i` where sizes differ. Throws `ResourceError`.
  virtual std::byte* item_block(std::uint32_t i, std::size_t bytes) = 0;
  /// Item `i` ends with the exception that is being handled.
  virtual void item_failed(std::uint32_t i) noexcept = 0;
  /// Stamps the start of the item, for its time limit.
  virtual void stamp() noexcept = 0;

 protected:
  TaskFrame() = default;
  ~TaskFrame() = default;
  virtual std::byte* block(std::size_t bytes) = 0;
};

/// The type of instantiated code. A thunk of a plain task runs it and lets the exception of a
/// single item out; one of a coroutine task makes the coroutine of one item.
using Thunk = void (*)(TaskFrame&);

}  // namespace pinion::detail
