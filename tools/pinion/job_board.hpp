// A page that the command and its workers share: who runs, and whether to go on.
//
//   stop       one of JobBoard::Stop                                  writer: the command
//   place i    claim  who has the job: JobBoard::Claim                writer: both, by exchange
//              pipe   inode of its standard output; 0: none           writer: its worker
//              group  its process group; 0: none, or not yet known    writer: its worker
//              ending it is to be ended, with all of its group        writer: the command
//              begun  when, in ns of the monotonic clock; 0: not yet  writer: its worker
//
// It lets the command stop jobs at once and from a signal handler, without a word to the workers,
// clean up after a worker that was killed, and take a job back that waits behind a long one.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace pinion::command {

class JobBoard {
 public:
  enum class Stop : std::int32_t {
    no,
    finish,  ///< no further job is started
    kill,    ///< and those that run are killed
  };

  /// `places`: how many jobs there can be at once. Throws std::system_error.
  explicit JobBoard(std::size_t places);
  JobBoard(const JobBoard&) = delete;
  JobBoard& operator=(const JobBoard&) = delete;
  ~JobBoard();

  [[nodiscard]] Stop stop() const noexcept { return header_->stop.load(); }

  /// Called by: the command, before it submits a job for `place`.
  void offer(std::size_t place) noexcept;
  /// Called by: the worker, before anything else. False: the command has taken the job back.
  [[nodiscard]] bool claim(std::size_t place) noexcept { return take(place, Claim::claimed); }
  /// Called by: the command. False: a worker has begun with it.
  [[nodiscard]] bool take_back(std::size_t place) noexcept {
    return take(place, Claim::taken_back);
  }
  [[nodiscard]] bool is_claimed(std::size_t place) const noexcept {
    return this->place(place).claim.load() == Claim::claimed;
  }

  /// Called by: the worker, after `claim`. `time_ns`: of the monotonic clock.
  void note_begin(std::size_t place, std::int64_t time_ns) noexcept {
    this->place(place).begun.store(time_ns);
  }
  /// When the worker has begun with the job; 0: it has not.
  [[nodiscard]] std::int64_t begun(std::size_t place) const noexcept {
    return this->place(place).begun.load();
  }
  /// Called by: the worker, before it starts the job's process, which will have that pipe as its
  /// standard output.
  void expect(std::size_t place, std::uint32_t pipe_inode) noexcept {
    this->place(place).pipe.store(pipe_inode);
  }
  /// Called by: the worker, when the job's process group exists. Returns false where it must kill
  /// it: the command wanted all to be killed meanwhile.
  [[nodiscard]] bool publish(std::size_t place, pid_t group) noexcept;
  /// Called by: the worker, before it reaps the group's leader, so that a group on the board is
  /// never somebody else's.
  void clear(std::size_t place) noexcept;

  /// From now on the job's worker waits for the end of the whole group. Called by: the command.
  void condemn(std::size_t place) noexcept { this->place(place).ending.store(1); }
  [[nodiscard]] bool is_condemned(std::size_t place) const noexcept {
    return this->place(place).ending.load() != 0;
  }
  /// Returns whether there was a group to get the signal. Called by: the command.
  bool signal_group(std::size_t place, int signal) noexcept;

  /// Called by: the command, also in a signal handler.
  void request(Stop stop) noexcept;
  /// Called by: the command or its guardian, when the worker of the job at `place` is gone; not in
  /// a signal handler.
  void kill_lost(std::size_t place) noexcept;
  /// The same for all places.
  void kill_all_lost() noexcept;

 private:
  enum class Claim : std::int32_t { waiting, claimed, taken_back };
  struct Place {
    std::atomic<Claim> claim{Claim::waiting};
    std::atomic<std::uint32_t> pipe{0};
    std::atomic<std::int32_t> group{0};
    std::atomic<std::int32_t> ending{0};
    std::atomic<std::int64_t> begun{0};
  };
  struct alignas(Place) Header {
    std::atomic<Stop> stop{Stop::no};
  };
  static_assert(std::atomic<Claim>::is_always_lock_free && std::atomic<Stop>::is_always_lock_free &&
                    std::atomic<std::int64_t>::is_always_lock_free && sizeof(Place) == 24 &&
                    sizeof(Header) == 8,
                "it is shared by processes and stored in signal handlers");

  [[nodiscard]] Place& place(std::size_t index) const noexcept { return list_[index]; }
  [[nodiscard]] bool take(std::size_t place, Claim claim) noexcept;
  [[nodiscard]] std::size_t bytes() const noexcept {
    return sizeof(Header) + places_ * sizeof(Place);
  }

  Header* header_;
  Place* list_;  // behind the header
  std::size_t places_;
};

}  // namespace pinion::command
