// The narrow door between the templates that users see and the pool itself. No types of a task
// pass it: only bytes, thunks and entries.
#pragma once

#include <pinion/chunking.hpp>
#include <pinion/detail/api.hpp>
#include <pinion/detail/call.hpp>
#include <pinion/detail/entry.hpp>
#include <pinion/info.hpp>
#include <pinion/options.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace pinion::detail {

/// A pool, as far as call sites see it. lib/pool derives from it.
class PoolCore {
 public:
  CodeMap* code = nullptr;  // function pointers to tokens

 protected:
  PoolCore() = default;
  ~PoolCore() = default;
};

/// For those who look inside a pool: tests.
struct PoolAccess;
/// For what stands upon a pool: `Process` and `Worker`.
struct ProcessAccess;

/// A map on its way: gives the bytes of any range of its items, and takes their outcomes.
/// Called with the pool's lock held, so it does nothing but copy.
class PINION_API MapJob {
 public:
  virtual ~MapJob() = default;

  /// Encoded size of items [first, first + count), the callable included.
  [[nodiscard]] virtual std::size_t chunk_bytes(std::uint64_t first, std::uint32_t count) const = 0;
  virtual void write_chunk(std::uint64_t first, std::uint32_t count, Writer& writer) const = 0;
  /// The encoded value of one item, from shared memory. `bytes` may be of any size: checks it.
  virtual void take_value(std::uint64_t item, std::span<const std::byte> bytes) = 0;
  /// `count` values side by side, each of `result_stride` bytes.
  virtual void take_values(std::uint64_t first, std::uint32_t count, const std::byte* bytes) = 0;
  /// Errors. Here the one of the lowest item is kept: its own, else that the map was stopped.
  virtual void take_remote_error(std::uint64_t item, std::span<const std::byte> bytes) noexcept;
  virtual void take_error(std::uint64_t first, std::uint32_t count,
                          const std::exception_ptr& error) noexcept;
  virtual void take_stop(std::uint64_t first, std::uint32_t count,
                         const std::exception_ptr& error) noexcept;

  const void* thunk = nullptr;
  bool coroutine = false;
  std::uint64_t items = 0;
  Chunking chunking;
  std::uint32_t result_stride = 0;  // bytes of a value where all are alike; else variable
  std::size_t item_bytes_hint = 0;  // of an item's arguments and result together
  bool open = false;                // a stream: more items may come
  bool streams = false;             // whoever waits for it waits for single items

  // Outcome; written by the collector until the entry is done.
  std::uint64_t error_item = ~std::uint64_t{0};  // lowest item that failed by its own error
  std::vector<std::byte> remote_error;           // of that item, or
  std::exception_ptr local_error;                // of that item
  std::exception_ptr ended_error;                // Cancelled or PoolTerminated, of any item
};

/// Hears of entries that end. Called with the pool's lock held.
class Watcher {
 public:
  virtual void ended(std::uint64_t tag) noexcept = 0;

 protected:
  ~Watcher() = default;
};
struct Watch {
  Watcher* watcher;
  std::uint64_t tag;

  bool operator==(const Watch&) const = default;
};

/// One single task.
struct Submission {
  const void* thunk;
  bool coroutine;
  std::uint8_t inline_bytes;  // of `inline_arguments`, where `call` is null
  const std::byte* inline_arguments;
  const CallSource* call;          // writes arguments that do not fit a slot
  const TaskOptions* options;      // null: the defaults
  ArrayHandles* arrays = nullptr;  // that the inline arguments name; taken
};

/// An outcome to read. Bytes stay valid while the caller's handle lives.
struct ResultView {
  Outcome outcome;
  std::span<const std::byte> bytes;
  MapJob* job;
  bool in_place = false;  // in the worker's memory, which stays until `end_reading`
};

/// What `view` gave in place has been decoded.
PINION_API void end_reading(LedgerEntry& entry) noexcept;

/// Starts the workers. `core` is set before they are made: where they are copies of this process,
/// its pool is one in them, too, and refuses what is asked of it. Throws what `Pool::Pool` throws.
PINION_API void make_pool(PoolOptions options, PoolCore*& core);
/// Ends it; then the pool is gone, or goes with the last handle.
PINION_API void end_pool(PoolCore& pool, bool unwinding) noexcept;

PINION_API LedgerEntry* submit(PoolCore& pool, const Submission& submission);
PINION_API LedgerEntry* submit_map(PoolCore& pool, std::unique_ptr<MapJob> job,
                                   const TaskOptions* options);

/// Waits until it is done or the time is up (nanoseconds from now; `Duration::ns_max`: no limit).
PINION_API bool wait(LedgerEntry& entry, std::int64_t limit_ns);
PINION_API bool poll_done(LedgerEntry& entry);
PINION_API bool cancel(LedgerEntry& entry);
PINION_API ResultView view(LedgerEntry& entry);
/// Throws the error of an entry that is done; returns if it has none. Each throw is a new object.
PINION_API void throw_error(LedgerEntry& entry);
[[nodiscard]] PINION_API std::exception_ptr error_of(LedgerEntry& entry) noexcept;
PINION_API bool has_error(LedgerEntry& entry) noexcept;
/// Calls `f` on the callback thread once it is done. `f` holds a handle.
PINION_API void when_done(LedgerEntry& entry, std::function<void()> f);
/// The place for the value that lvalue handles share: `make` is called once per entry.
PINION_API void* shared_value(LedgerEntry& entry,
                              const std::function<std::shared_ptr<void>()>& make);
/// The last handle is gone. Called by: the handle.
PINION_API void drop_entry(LedgerEntry& entry) noexcept;

/// What results name, as the manager sees it: arrays, and no function pointers.
PINION_API CodeMap* result_code(LedgerEntry& entry) noexcept;

PINION_API void close_pool(PoolCore& pool);
PINION_API void terminate_pool(PoolCore& pool);
PINION_API bool join_pool(PoolCore& pool, std::int64_t limit_ns);
/// From here on a worker that dies is not replaced: what it had is lost, started or not.
PINION_API void give_one_life(PoolCore& pool);
/// Sends a signal to the workers that live.
PINION_API void signal_workers(PoolCore& pool, int number) noexcept;
PINION_API unsigned process_count(const PoolCore& pool) noexcept;
PINION_API std::vector<WorkerInfo> worker_infos(const PoolCore& pool);
PINION_API PoolStats pool_stats(const PoolCore& pool);

}  // namespace pinion::detail
