// A pool: its state and the parts that work on it.
//
// Thread safety: every public member may be called from any thread.
#pragma once

#include <pinion/detail/pool_core.hpp>
#include <pinion/detail/stream_core.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/pool/locked.hpp"
#include "lib/pool/service.hpp"
#include "lib/pool/state.hpp"

namespace pinion::pool {

class StreamJob;

class Core final : public detail::PoolCore {
 public:
  /// Starts the workers; before, sets `core`. Throws `std::invalid_argument`, `StartError`,
  /// `ResourceError`.
  static void make(PoolOptions options, const start::WorkerCode& worker_code,
                   detail::PoolCore*& core);
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  LedgerEntry* submit(const detail::Submission& submission);
  LedgerEntry* submit_map(std::unique_ptr<detail::MapJob> job, const TaskOptions* options);

  /// A map that grows; the entry ends when its input is closed and its items have ended.
  LedgerEntry* open_stream(std::unique_ptr<StreamJob> job, const TaskOptions& options);
  /// Hands over items. False where the pool takes no more: then they are lost.
  bool extend_stream(StreamJob& job, std::vector<detail::StreamArgument>&& arguments);
  void close_stream_input(StreamJob& job) noexcept;
  bool take_from_stream(StreamJob& job, detail::StreamItem& item);
  /// As below, of what `StreamJob::worth_a_look` says.
  bool watch(StreamJob& job, const detail::Watch& watch);
  void unwatch(StreamJob& job, const detail::Watch& watch) noexcept;

  bool wait(LedgerEntry& entry, std::int64_t limit_ns);
  void poll() { turns_.poll(); }
  bool cancel(LedgerEntry& entry);
  void when_done(LedgerEntry& entry, std::function<void()> callback);
  /// Tells the watcher when the entry ends. False: it has ended. Throws `std::bad_alloc`.
  bool watch(LedgerEntry& entry, const detail::Watch& watch);
  /// It is not told from here on.
  void unwatch(LedgerEntry& entry, const detail::Watch& watch) noexcept;
  /// Waits until `reached`, of which a watcher may learn, or the deadline passes.
  bool wait_until(const void* subject, const std::function<bool()>& reached,
                  std::int64_t deadline_ns) {
    return turns_.wait_until(subject, reached, deadline_ns);
  }
  /// For the loops of callers.
  [[nodiscard]] Turns& turns() noexcept { return turns_; }
  void require_same_process() const;
  /// Whether the value lies in a worker's memory, and stays there until `end_reading`.
  bool read_in_place(LedgerEntry& entry);
  void end_reading(LedgerEntry& entry) noexcept;
  void release(LedgerEntry& entry);
  detail::Side& side_of(LedgerEntry& entry);

  void give_one_life();
  void signal_workers(int number) noexcept;
  /// A new shared array. Throws `ResourceError`, `PoolClosed`.
  detail::ArrayHandle make_array(std::size_t bytes);
  /// What results name.
  [[nodiscard]] detail::CodeMap* result_code() noexcept { return &result_names_; }

  void close();
  void terminate();
  bool join(std::int64_t limit_ns);
  /// Close or terminate, join, and give everything back but this object, which entries may refer
  /// to. In a forked child it does nothing.
  void end(bool unwinding) noexcept;

  [[nodiscard]] unsigned workers() const noexcept { return state_.workers; }
  [[nodiscard]] unsigned child_concurrency() const noexcept {
    return state_.options.child_concurrency;
  }
  [[nodiscard]] std::vector<WorkerInfo> infos() const;
  [[nodiscard]] PoolStats stats() const;
  /// What contradicts itself in the pool's accounts, a line each. Takes the lock; any time.
  [[nodiscard]] std::vector<std::string> verify() const;

 private:
  class CodeTable final : public detail::CodeMap {
   public:
    explicit CodeTable(Core& core) noexcept : core_(core) {}
    std::uint64_t to_token(const void* function) override;
    void* from_token(std::uint64_t token) override;

   private:
    Core& core_;
  };
  /// What results name: arrays. Function pointers may not come back.
  class ResultNames final : public detail::CodeMap {
   public:
    explicit ResultNames(std::weak_ptr<Arrays> arrays) noexcept : arrays_(std::move(arrays)) {}
    std::uint64_t to_token(const void* function) override;
    void* from_token(std::uint64_t token) override;
    detail::ArrayHandle array(const detail::ArrayName& name) override;

   private:
    std::weak_ptr<Arrays> arrays_;  // handles may keep them longer than the pool
  };

  friend class Ledger;  // which takes it down
  Core(PoolOptions options, const start::WorkerCode& worker_code, Ledger& ledger,
       detail::PoolCore*& core);
  ~Core();

  LedgerEntry* submit_large(const detail::Submission& submission, std::uint64_t token,
                            std::uint8_t flags);
  LedgerEntry& open_entry(const TaskOptions* options, bool with_side = false);
  void call_collector() noexcept;
  void set_going();
  bool join_workers(std::int64_t deadline);
  void check(const TaskOptions* options) const;
  void require_open() const;
  void close_stream_inputs() noexcept;
  [[nodiscard]] bool is_full() const noexcept;
  void make_room(Locked& lock, const TaskOptions* options);
  void wait_for_room(const TaskOptions* options);
  start::KeptCall keep(const std::shared_ptr<const detail::CallSource>& call, const char* option);

  Ledger* ledger_;
  State state_;
  CodeTable code_;
  ResultNames result_names_;
  Settler settler_;
  Dispatcher dispatcher_;
  Collector collector_;
  TakeBack takeback_;
  Burial burial_;
  Turns turns_;
  Fleet fleet_;
  TimeLimits limits_;
  Service service_;
  std::atomic<bool> over_{false};
};

}  // namespace pinion::pool
