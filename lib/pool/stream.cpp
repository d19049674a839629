// A stream, as its consumers see it: reads the range ahead, and waits for outcomes.

#include <pinion/detail/entry_handle.hpp>
#include <pinion/detail/stream_core.hpp>
#include <pinion/errors.hpp>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

#include "lib/os/clock.hpp"
#include "lib/pool/core.hpp"
#include "lib/pool/remote_exception.hpp"
#include "lib/pool/stream_job.hpp"
#include "lib/pool/throw_anew.hpp"

namespace pinion::detail {

using pool::Core;
using pool::StreamJob;

namespace {

/// As many as the workers can have under way, twice over.
std::size_t default_window(const Core& core, const StreamCall& call, std::size_t chunk_items) {
  const std::size_t each = call.coroutine ? 2 * std::size_t{core.child_concurrency()} : 64;
  return core.workers() * std::max<std::size_t>(each, 4 * chunk_items);
}

}  // namespace

class Stream::State {
 public:
  State(Core& core, StreamCall call, std::unique_ptr<StreamInput> input, const StreamLimits& limits,
        const TaskOptions& options)
      : core_(core),
        window_(limits.window != 0 ? limits.window
                                   : default_window(core, call, limits.chunking.items())),
        input_(std::move(input)) {
    const std::size_t chunk = std::clamp<std::size_t>(limits.chunking.items(), 1, window_);
    piece_ = std::max(chunk, window_ / 4 / chunk * chunk);
    auto job = std::make_unique<StreamJob>(std::move(call), limits.in_order);
    job->chunking = limits.chunking.items() > window_ ? Chunking::fixed(window_) : limits.chunking;
    job_ = job.get();
    handle_ = EntryHandle(core.open_stream(std::move(job), options));
    const std::lock_guard lock(input_mutex_);
    read_ahead();
  }

  ~State() {
    // No map is ended by dropping its handle; the rest of a stream nobody can take.
    try {
      core_.cancel(handle_.entry());
    } catch (...) {  // no memory: what runs, runs to its end
    }
    core_.close_stream_input(*job_);
  }

  [[nodiscard]] CodeMap* result_code() const noexcept { return core_.result_code(); }

  bool next(StreamItem& item, std::int64_t limit_ns) {
    const std::int64_t deadline =
        limit_ns == Duration::ns_max ? os::never_ns : os::deadline_ns(limit_ns);
    const auto reached = [this] { return job_->worth_a_look(); };
    for (;;) {
      const StreamLook found = look(item);
      if (found != StreamLook::waits) return found == StreamLook::taken;
      if (!core_.wait_until(job_, reached, deadline)) throw WaitTimeout();
    }
  }

  StreamLook look(StreamItem& item) {
    for (;;) {
      if (may_read() && input_mutex_.try_lock()) {
        const std::lock_guard lock(input_mutex_, std::adopt_lock);
        read_ahead();
      }
      if (core_.take_from_stream(*job_, item)) return StreamLook::taken;
      if (job_->outstanding() != 0) return StreamLook::waits;
      const std::lock_guard lock(input_mutex_);  // another consumer may be reading
      read_ahead();
      if (job_->outstanding() != 0) continue;
      if (end_error_ != nullptr) std::rethrow_exception(std::exchange(end_error_, nullptr));
      return StreamLook::over;
    }
  }

  bool watch(const Watch& watch) { return core_.watch(*job_, watch); }
  void unwatch(const Watch& watch) noexcept { core_.unwatch(*job_, watch); }
  [[nodiscard]] Core& core() const noexcept { return core_; }

 private:
  /// Worth a read: not for every item, where the window has room for many.
  [[nodiscard]] bool may_read() const noexcept {
    return !input_over_.load(std::memory_order_relaxed) && job_->outstanding() + piece_ <= window_;
  }

  /// Fills the window. Called with the input's mutex held.
  void read_ahead() {
    while (may_read()) {
      std::vector<StreamArgument> arguments;
      try {
        arguments.reserve(piece_);
        StreamArgument argument;
        while (arguments.size() < piece_ && input_->next(argument)) {
          arguments.push_back(std::exchange(argument, {}));
        }
        const bool over = arguments.size() < piece_;
        if (over) end();
      } catch (...) {
        end_error_ = std::current_exception();
        end();
      }
      if (!arguments.empty()) hand_over(std::move(arguments));
    }
    if (input_over_) core_.close_stream_input(*job_);
  }

  void hand_over(std::vector<StreamArgument>&& arguments) {
    try {
      if (core_.extend_stream(*job_, std::move(arguments))) return;
      end_error_ = std::make_exception_ptr(
          PoolClosed("the pool has ended before the stream has taken its whole range"));
    } catch (...) {
      end_error_ = std::current_exception();
    }
    end();
  }

  /// Nothing more is read; what the range holds goes now.
  void end() noexcept {
    input_over_ = true;
    input_.reset();
  }

  Core& core_;
  EntryHandle handle_;  // it keeps the core
  StreamJob* job_ = nullptr;
  const std::size_t window_;
  std::size_t piece_ = 1;  // items that are read and handed over at once

  std::mutex input_mutex_;
  std::unique_ptr<StreamInput> input_;
  std::exception_ptr end_error_;
  std::atomic<bool> input_over_{false};
};

Stream::Stream(PoolCore& pool, StreamCall call, std::unique_ptr<StreamInput> input,
               const StreamLimits& limits, const TaskOptions& options)
    : state_(std::make_unique<State>(static_cast<Core&>(pool), std::move(call), std::move(input),
                                     limits, options)) {}
Stream::~Stream() = default;

bool Stream::next(StreamItem& item, std::int64_t limit_ns) { return state_->next(item, limit_ns); }
StreamLook Stream::look(StreamItem& item) { return state_->look(item); }
bool Stream::watch(const Watch& watch) { return state_->watch(watch); }
void Stream::unwatch(const Watch& watch) noexcept { state_->unwatch(watch); }
PoolCore& Stream::core() const noexcept { return state_->core(); }

CodeMap* Stream::result_code() noexcept { return state_->result_code(); }

void throw_error(const StreamItem& item) {
  if (item.error != nullptr) pool::throw_anew(item.error);
  if (item.remote_error) pool::throw_remote(std::as_bytes(std::span(item.bytes)));
}

}  // namespace pinion::detail
