// A stream of items through a pool, as far as call sites see it: bytes and thunks.
#pragma once

#include <pinion/detail/pool_awaiter.hpp>
#include <pinion/detail/pool_core.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>

namespace pinion::detail {

/// PackedBytes of a value; short ones lie in the object itself.
using PackedBytes = std::string;

/// The encoded item that a range gave, or why it could not be encoded.
struct StreamArgument {
  PackedBytes bytes;
  std::exception_ptr error;
  ArrayHandles arrays;  // that the bytes name
};

/// The range that a stream reads. Called by one thread at a time, without locks.
class StreamInput {
 public:
  virtual ~StreamInput() = default;
  /// False at the end of the range. Throws what the range throws.
  virtual bool next(StreamArgument& argument) = 0;
};

/// What a worker does with the items.
struct StreamCall {
  const void* thunk;
  bool coroutine;
  bool items_have_sizes;        // before each of a chunk
  std::uint32_t result_stride;  // as `MapJob`'s
  PackedBytes callable;         // encoded, up to where items begin
  ArrayHandles arrays;          // that it names
};

/// How it is read.
struct StreamLimits {
  Chunking chunking;
  std::size_t window;  // 0: what keeps the workers busy
  bool in_order;
};

/// One item's outcome.
struct StreamItem {
  std::uint64_t index = 0;
  PackedBytes bytes;         // the encoded value, or a remote error
  std::exception_ptr error;  // made here
  bool remote_error = false;
  ArrayHandles arrays;  // of its arguments, which the value may name
};

/// Throws an item's error; returns if it has none.
PINION_API void throw_error(const StreamItem& item);

/// What a look at a stream has found.
enum class StreamLook : std::uint8_t {
  taken,  ///< an item
  waits,  ///< none yet
  over,   ///< none any more
};

/// Reads its range ahead of who takes from it, by as many items as its window has. Any thread.
class PINION_API Stream {
 public:
  /// Reads the first items. Throws what a submit throws.
  Stream(PoolCore& pool, StreamCall call, std::unique_ptr<StreamInput> input,
         const StreamLimits& limits, const TaskOptions& options);
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  /// Cancels what is left.
  ~Stream();

  /// Waits for the next item: the next of the range, or any that has ended. False where none is
  /// left. Throws `WaitTimeout` when `limit_ns` has passed, at the end what reading the range
  /// threw, and `PoolClosed` where the pool took no more of it, once.
  bool next(StreamItem& item, std::int64_t limit_ns);
  /// The same without waiting.
  StreamLook look(StreamItem& item);
  /// Tells the watcher, once, when another look may find more. False: it would now. Throws
  /// `std::bad_alloc`.
  bool watch(const Watch& watch);
  /// It is not told from here on.
  void unwatch(const Watch& watch) noexcept;
  [[nodiscard]] PoolCore& core() const noexcept;
  /// What values name.
  [[nodiscard]] CodeMap* result_code() noexcept;

 private:
  class State;
  std::unique_ptr<State> state_;
};

/// Waits until another look may find more. Each awaits once.
class StreamAwaiter final : public PoolAwaiter {
 public:
  explicit StreamAwaiter(Stream& stream) noexcept : stream_(stream) {}
  PINION_API ~StreamAwaiter();

  PINION_API bool await_ready();
  PINION_API bool await_suspend(std::coroutine_handle<> waiter);
  void await_resume() { finish(); }

 private:
  Stream& stream_;
};

}  // namespace pinion::detail
