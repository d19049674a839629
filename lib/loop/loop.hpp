// The event loop of one worker: what is ready, what waits for the kernel, what waits for time.
//
// Single-threaded. The executor owns the turn: it resumes with run_ready(), gathers with poll(),
// and sleeps with wait(), or elsewhere while nothing is in flight.
#pragma once

#include <pinion/detail/operation.hpp>
#include <pinion/detail/scope.hpp>
#include <pinion/kinds.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "lib/loop/backend.hpp"
#include "lib/loop/completions.hpp"
#include "lib/loop/stall_meter.hpp"
#include "lib/loop/timers.hpp"
#include "lib/os/fork_guard.hpp"

namespace pinion::loop {

/// One coroutine task that the executor has started, with all coroutines under it.
///
/// Must outlive its coroutine. Destroying it before the coroutine has begun takes it out of the
/// ready queue; the frame is then the owner's to destroy.
struct Root : detail::Scope {
  void* user = nullptr;     ///< the executor's own
  detail::Resumable begin;  ///< its place in the ready queue before it has begun
};

/// What PINION_IO asks for; `automatic` where it says nothing. Throws `std::invalid_argument` where
/// it says something else.
IoBackend backend_from_environment();

class Loop {
 public:
  /// Makes no kernel object: the backend is made at the first await that needs one. The variable
  /// PINION_IO (uring, poll) overrides `automatic`; any other value is `std::invalid_argument`.
  explicit Loop(IoBackend wanted);
  /// Cancels what is still pending and waits until the kernel has let go of it. Coroutines that are
  /// suspended in it are never resumed; destroy their frames before or after.
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// The loop whose run_ready() is running on this thread, or null.
  [[nodiscard]] static Loop* current() noexcept;
  /// The same; throws `std::logic_error` where there is none.
  static Loop& require_current();
  /// The root of the coroutine that is running; null outside run_ready(). O(depth of its scopes).
  [[nodiscard]] Root* current_root() const noexcept;
  /// The scope of the coroutine that is running; null outside run_ready().
  [[nodiscard]] detail::Scope* current_scope() const noexcept { return current_scope_; }

  /// Puts a coroutine at the end of the ready queue: the first one of `root`.
  void start(Root& root, std::coroutine_handle<> coroutine) noexcept;
  /// Resumes at most `max` of those that are ready now, first come first served. True if any ran.
  /// What a resume throws passes through (coroutines of pinion never do). `meter`: has begun.
  bool run_ready(std::size_t max, StallMeter* meter = nullptr);
  [[nodiscard]] bool has_ready() const noexcept { return !completions_.ready.empty(); }
  /// Whether operations or timers are outstanding.
  [[nodiscard]] bool in_flight() const noexcept {
    return completions_.pending != 0 || !timers_.empty();
  }

  /// Gathers completions and due timers without blocking: at most one system call (and those of
  /// the operations that can now be done), none if nothing is in flight. Throws
  /// `std::system_error` where the kernel's queue is broken; the loop is then unusable.
  void poll();
  /// Sleeps until a completion, a timer, the deadline (CLOCK_MONOTONIC, nanoseconds) or the wake
  /// descriptor, and gathers. Does not sleep while something is ready. May return early. Throws
  /// `std::logic_error` where nothing could ever end the sleep: each coroutine waits for another.
  void wait(std::int64_t deadline_ns);
  /// A nonblocking eventfd, or -1, that others write to end a wait(), which drains it. A write
  /// before the wait() ends it at once. Stays the caller's.
  void set_wake_fd(int eventfd) noexcept;

  /// For a root or a scope within, with all scopes under it: sets `stop` and cancels each pending
  /// operation. Its await throws Cancelled, except where it had ended before or cannot be
  /// interrupted (a read of a disk): then it keeps its result, and the next await throws. Resumes
  /// nothing. O(pending operations and scopes).
  void cancel(detail::Scope& scope) noexcept;

  /// The backend in use; `automatic` until it is made.
  [[nodiscard]] IoBackend backend() const noexcept { return kind_; }
  /// Why that one; empty until it is made.
  [[nodiscard]] std::string_view backend_reason() const noexcept { return reason_; }

  // The awaitables' side; see detail::Operation.
  void prepare(detail::Operation& operation);
  void begin(detail::Operation& operation) noexcept;
  void abandon(detail::Operation& operation) noexcept;
  void complete(detail::Operation& operation, std::int64_t result) noexcept {
    completions_.finish(operation, result);
  }
  /// For a coroutine that has not begun.
  void resume_later(detail::Resumable& resumable) noexcept { completions_.queue(resumable); }
  // See detail::ChildScope and detail::ScopeDeadline.
  void set_current_scope(detail::Scope& scope) noexcept { current_scope_ = &scope; }
  void begin_deadline(detail::Operation& operation);

 private:
  friend struct UringAccess;  // tests

  void make_backend();
  void expire_timers();
  void expire_deadline(detail::Operation& operation) noexcept;
  void cancel_operations(detail::Scope& scope) noexcept;
  void drop_waits(detail::Scope& scope) noexcept;
  void sleep_without_backend(std::int64_t deadline_ns);
  void cancel_one(detail::Operation& operation) noexcept;

  detail::LinkList roots_;  // those that were started, whether they have ended or not
  Completions completions_;
  Timers timers_;
  std::unique_ptr<Backend> backend_;
  std::optional<os::ForkGuard> guard_;  // with the backend: neither survives a fork
  detail::Scope* current_scope_ = nullptr;
  bool running_ = false;
  int wake_fd_ = -1;
  IoBackend wanted_;
  IoBackend kind_ = IoBackend::automatic;
  bool forced_ = false;  // by PINION_IO
  std::string reason_;
};

}  // namespace pinion::loop
