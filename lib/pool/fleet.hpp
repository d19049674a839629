// The workers as processes or threads: made, watched, replaced, and let go. Called by: the service
// thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "lib/pool/burial.hpp"
#include "lib/pool/state.hpp"
#include "lib/pool/turns.hpp"
#include "lib/start/nursery.hpp"

namespace pinion::pool {

class Fleet {
 public:
  Fleet(State& state, Dispatcher& dispatcher, Burial& burial, Turns& turns) noexcept
      : state_(state), dispatcher_(dispatcher), burial_(burial), turns_(turns) {}

  /// Makes the nursery and all workers. Throws `std::system_error`, `ResourceError`.
  void start(const start::WorkerCode& code);
  /// The worker's pidfd is readable.
  void on_death(Lane& lane);
  /// The nursery has hung up: nobody is harmed. Where it was started anew another one is; else
  /// nobody can be replaced.
  void on_nursery_death();
  /// Makes successors whose time has come.
  void respawn(std::int64_t now_ns);
  /// When `respawn` has something to do, or a worker's time to start is over.
  [[nodiscard]] std::int64_t next_event_ns() const noexcept;
  /// Kills workers that are not ready in time, or have not left in time.
  void check_starts(std::int64_t now_ns);
  /// Gives up processes that do not end although they were killed (uninterruptible sleep), and
  /// threads that do not end although they were told to: their tasks end, their memory is theirs.
  /// Returns their pidfds, which stay open until they have ended.
  std::vector<int> abandon(std::int64_t now_ns);
  /// One of those has ended. Returns the pidfds that are done with.
  std::vector<os::Fd> reap_abandoned();
  /// Tells the workers to leave once nothing is pending and nothing more comes.
  void let_go();
  /// Whether no process is left and none will come.
  [[nodiscard]] bool gone() const noexcept;
  void end_nursery() noexcept;
  [[nodiscard]] int nursery_socket() const noexcept {
    return nursery_dead_ ? -1 : maker_->socket();
  }
  /// Ends the pool: all that is pending ends with `PoolTerminated` and this cause.
  void fail(std::string cause);
  static void kill_all(State& state) noexcept;

 private:
  /// A worker that was given up, and what it still may use.
  struct Abandoned {
    os::Fd pidfd;
    std::shared_ptr<start::LocalWorker> local;  // null: it is a process
    std::shared_ptr<shm::Segment> segment;
    unsigned seat = 0;
    std::vector<ring::BlockRef> arguments;

    [[nodiscard]] bool reap() const noexcept;
  };

  void give_birth(Lane& lane);
  [[nodiscard]] static bool must_abandon(Lane& lane, std::int64_t now_ns) noexcept;
  int abandon(Lane& lane);
  void take_back(Abandoned& ended);
  void abandon_birth(Lane& lane);
  start::Birth order_for(const Lane& lane) const;
  void after_death(Lane& lane, ExitStatus status);
  static void note_oom_kills(Lane& lane);
  [[nodiscard]] std::string first_failure(const Lane& lane, ExitStatus status) const;
  [[nodiscard]] std::string late_text(const Lane& lane, bool initializing) const;
  [[nodiscard]] bool hopeless(std::int64_t now_ns) const noexcept;

  static constexpr std::int64_t abandon_ns = 1'000'000'000;
  static constexpr std::int64_t abandon_thread_ns = 100'000'000;
  static constexpr std::int64_t nursery_answer_ns = 10'000'000'000;
  static constexpr unsigned nursery_deaths_max = 3;
  static constexpr std::int64_t pause_first_ns = 1'000'000;
  static constexpr std::int64_t pause_max_ns = 100'000'000;
  static constexpr std::int64_t no_worker_ns_max = 2'000'000'000;

  State& state_;
  Dispatcher& dispatcher_;
  Burial& burial_;
  Turns& turns_;
  std::unique_ptr<start::WorkerMaker> maker_;
  bool nursery_dead_ = false;    // and none comes
  unsigned nursery_deaths_ = 0;  // since a worker was made
  std::vector<Abandoned> abandoned_;
  std::uint64_t items_at_last_death_ = 0;
  std::int64_t pause_ns_ = 0;
  std::int64_t no_worker_since_ns_ = 0;
};

}  // namespace pinion::pool
