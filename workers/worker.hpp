// One worker: takes tasks from its ring, runs them, and answers each exactly once.
//
// Thread safety: none; a worker has one thread of its own. Only `current()` may be asked by user
// code.
#pragma once

#include <pinion/detail/task_frame.hpp>
#include <pinion/kinds.hpp>

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "lib/loop/loop.hpp"
#include "lib/loop/stall_meter.hpp"
#include "lib/os/fork_guard.hpp"
#include "lib/os/spin_budget.hpp"
#include "lib/start/modules.hpp"
#include "workers/channel.hpp"
#include "workers/cost_meter.hpp"
#include "workers/identity.hpp"
#include "workers/plain_frame.hpp"
#include "workers/resident_set.hpp"
#include "workers/result_space.hpp"

namespace pinion::workers {

class CoroutineTasks;
class HeldArrays;

class Worker {
 public:
  Worker(const start::Birth& birth, Channel& channel, Identity identity);
  ~Worker();

  /// The worker that this thread is, else the one that this process is, whatever the thread; null
  /// in the manager, and in a child that a task has forked.
  static Worker* current() noexcept;

  /// While the calling thread runs a worker of this process that is not the process itself.
  class Here {
   public:
    explicit Here(Worker& worker) noexcept;
    Here(const Here&) = delete;
    Here& operator=(const Here&) = delete;
    ~Here();

   private:
    Worker* const before_;
  };

  /// Runs the initializer. Throws what it throws.
  void initialize();
  /// Runs the finalizer, and says that it leaves.
  void finalize();
  /// Says that it takes tasks now.
  void say_ready();
  /// Says why it does not.
  void say_failed(const std::exception_ptr& error) noexcept;
  /// Takes and runs tasks until it is told to leave.
  void run();
  /// As `run`, until nothing is left to do. False if there was nothing.
  bool run_what_is_there();
  /// It has left: nothing is left to do, and nothing comes.
  [[nodiscard]] bool over() noexcept;

  // For tasks that run:
  /// Result memory; waits for the manager where it must grow. Throws `ResourceError`; also in a
  /// thread that is abandoned, to which nobody would give it.
  std::uint64_t take_space(std::uint16_t flight, std::uint64_t bytes);
  /// Ends the worker where there is none.
  std::uint64_t take_space_or_die(std::uint64_t bytes) noexcept;
  /// What a task, or item, has thrown: shown to the exception handler, and encoded.
  [[nodiscard]] std::vector<std::byte> encode_failure(const std::exception_ptr& error,
                                                      std::uint64_t item) noexcept;
  /// Nothing more may start, and nobody takes what comes of what runs.
  [[nodiscard]] bool abandoned() const noexcept { return channel_.abandoned(); }
  [[nodiscard]] bool abandoned_behind_barrier() const noexcept {
    ring::fast_barrier(channel_.fencing);
    return abandoned();
  }
  [[nodiscard]] bool is_local() const noexcept { return channel_.is_local(); }
  [[nodiscard]] std::vector<std::byte> encode_error(const std::exception_ptr& error,
                                                    std::uint64_t item) const noexcept;
  [[nodiscard]] std::vector<std::byte> encode_current_exception(std::uint64_t item) const noexcept;
  void stamp(std::uint16_t flight, std::uint64_t ns) noexcept {
    channel_.flights[flight].started_ns.store(ns, std::memory_order_release);
  }
  [[nodiscard]] shm::WorkerFlight& flight(std::uint16_t number) noexcept {
    return channel_.flights[number];
  }
  [[nodiscard]] std::uint64_t started_ns(std::uint16_t flight) const noexcept {
    return channel_.flights[flight].started_ns.load(std::memory_order_relaxed);
  }
  /// Pushes an answer and rings the manager. `blocks` are its memory: given back when it is
  /// drained, but for a single result above 256 bytes, which the manager gives back.
  void publish(ring::ResultMessage& message, std::span<const PlainFrame::Block> blocks,
               bool kept = false);
  /// As an error of a single item.
  void publish_error(const ring::TaskMessage& task, std::uint64_t position,
                     std::span<const std::byte> error, std::vector<PlainFrame::Block> blocks = {});

  [[nodiscard]] ResultSpace& space() noexcept { return space_; }
  [[nodiscard]] ring::WorkerLine& line() noexcept { return *channel_.line; }
  [[nodiscard]] const ring::Verdict& verdict(std::uint16_t flight) const noexcept {
    return channel_.verdicts[flight];
  }
  [[nodiscard]] detail::CodeMap& code() noexcept { return code_; }
  [[nodiscard]] loop::Loop& loop() noexcept { return loop_; }
  [[nodiscard]] const Identity& identity() const noexcept { return identity_; }
  [[nodiscard]] const PlainFrame* frame() const noexcept { return frame_; }
  [[nodiscard]] unsigned child_concurrency() const noexcept { return child_concurrency_; }
  detail::Thunk thunk_of(const ring::TaskMessage& message);
  [[nodiscard]] std::span<const std::byte> arguments_of(const ring::TaskMessage& message) const;
  bool claim(const ring::TaskMessage& message, std::uint64_t position) noexcept;
  void answer_skipped(const ring::TaskMessage& message, std::uint64_t position);

 private:
  struct Queued {
    ring::TaskMessage message;
    std::uint64_t position;
  };
  class CodeView final : public detail::CodeMap {
   public:
    explicit CodeView(const Channel& channel) : channel_(channel), modules_(channel.modules) {}
    CodeView(const CodeView&) = delete;
    CodeView& operator=(const CodeView&) = delete;
    ~CodeView() override;
    detail::ArrayHandle array(const detail::ArrayName& name) override;
    std::uint64_t to_token(const void*) override;
    void* from_token(std::uint64_t token) override {
      return modules_.address_of(start::CodeToken::unpack(token));
    }

   private:
    const Channel& channel_;
    start::ModuleView modules_;
    std::shared_ptr<HeldArrays> arrays_;  // made with the first
  };

  bool turn();
  bool intake();
  void take_control(const ring::TaskMessage& message);
  void run_task(const ring::TaskMessage& message, std::uint64_t position);
  void run_plain(const ring::TaskMessage& message, std::uint64_t position);
  void publish_outcome(PlainFrame& frame);
  void look_at_size() noexcept;
  void idle();
  std::int64_t spin() noexcept;
  void park();
  void watch() noexcept;
  void measure_hold() noexcept;
  void tell_backend() noexcept;
  void make(const start::KeptCall& call);
  void show_to_handler(const std::exception_ptr& error) noexcept;
  void tell_stalls() noexcept;
  [[noreturn]] void give_up() noexcept;

  Channel& channel_;
  Identity identity_;
  CodeView code_;
  ResultSpace space_;
  loop::Loop loop_;
  os::ForkGuard guard_;
  CostMeter cost_;
  std::deque<Queued> queue_;  // tasks that have left the ring and wait
  std::unique_ptr<CoroutineTasks> coroutines_;
  PlainFrame* frame_ = nullptr;
  unsigned child_concurrency_;
  const start::KeptCall initializer_;
  const start::KeptCall finalizer_;
  const start::KeptCall exception_handler_;
  ResidentSet resident_set_;
  Idle idle_;
  bool crowded_;
  bool leaving_ = false;
  bool winding_up_ = false;  // it was abandoned, and its coroutines are told
  int granted_ = -1;         // the manager's answer to need_space
  os::SpinBudget spin_;
  loop::StallMeter stalls_;
  bool watching_ = false;       // `stalls_` has begun
  std::int64_t looked_ns_ = 0;  // at the backend
  std::uint32_t told_stalls_ = 0;
  bool told_backend_ = false;
};

}  // namespace pinion::workers
