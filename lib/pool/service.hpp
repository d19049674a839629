// The service thread: watches processes and timers, starts and reaps workers, and collects for
// those who are not waiting. It never runs user code.
#pragma once

#include <pthread.h>

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>

#include "lib/os/fd.hpp"
#include "lib/pool/backstop.hpp"
#include "lib/pool/fleet.hpp"
#include "lib/pool/time_limits.hpp"
#include "lib/pool/turns.hpp"

namespace pinion::pool {

class Service {
 public:
  Service(State& state, Collector& collector, TakeBack& takeback, Fleet& fleet, Turns& turns,
          TimeLimits& limits);
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  /// Makes the thread, and waits until all workers are ready. Throws `StartError`; then nothing is
  /// left running.
  void start(const start::WorkerCode& code);
  /// Waits until the last worker and the last callback have ended; false when the time ran out.
  bool join(std::int64_t deadline_ns);
  /// Joins the thread itself. Called by: the pool's end.
  void finish() noexcept;

 private:
  void make_thread();
  void run() noexcept;
  bool begin() noexcept;
  void serve();
  bool handle_events(std::int64_t until_ns);
  void turn();
  void collect();
  void watch_nursery();
  void watch_processes();
  void abandon();
  void stop_everything();
  void check_limits(std::int64_t now_ns);
  [[nodiscard]] std::int64_t next_timer_ns();
  [[nodiscard]] bool needed() const noexcept {
    return state_.needs_collector() || state_.callbacks.expected() != 0;
  }
  bool sleep_until_event(std::int64_t until_ns) noexcept;
  void look_for_results();
  [[nodiscard]] bool left_alone() const noexcept;

  static constexpr std::int64_t tick_ns = 100'000;  // how long results may lie when nobody collects
  static constexpr std::int64_t callback_tick_ns = 1'000'000;
  static constexpr std::int64_t balance_ns = 1'000'000;
  static constexpr std::int64_t unwatched_ns = 10'000'000;

  State& state_;
  Collector& collector_;
  TakeBack& takeback_;
  Fleet& fleet_;
  Turns& turns_;
  TimeLimits& limits_;
  Backstop backstop_;

  os::Fd epoll_;
  pthread_t thread_{};
  bool running_ = false;
  bool fine_timeouts_ = true;
  bool unwatched_ = false;  // somebody's end could not be watched for yet
  start::WorkerCode code_;
  std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::exception_ptr begin_error_;
  bool ready_ = false;
  bool start_over_ = false;
  bool ended_ = false;
  std::uint64_t seen_collected_ = 0;
};

}  // namespace pinion::pool
