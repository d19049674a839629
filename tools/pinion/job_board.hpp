// A page that the command and its workers share: who runs, and whether to go on.
//
//   word 0       stop: one of JobBoard::Stop             writer: the command
//   word 1 + 2i  process group of the job at place i       writer: the worker that runs it; 0: none
//   word 2 + 2i  who has the job at place i: JobBoard::Claim  both, by compare-exchange
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

  [[nodiscard]] Stop stop() const noexcept { return static_cast<Stop>(words_[0].load()); }

  /// Called by: the command, before it submits a job for `place`.
  void offer(std::size_t place) noexcept { claim_of(place).store(waiting); }
  /// Called by: the worker, before anything else. False: the command has taken the job back.
  [[nodiscard]] bool claim(std::size_t place) noexcept { return take(place, claimed); }
  /// Called by: the command. False: a worker has begun with it.
  [[nodiscard]] bool take_back(std::size_t place) noexcept { return take(place, taken_back); }
  [[nodiscard]] bool is_claimed(std::size_t place) const noexcept {
    return words_[2 + 2 * place].load() == claimed;
  }

  /// Called by: the worker, when the job's process group exists. Returns false where it must kill
  /// it: the command wanted all to be killed meanwhile.
  [[nodiscard]] bool publish(std::size_t place, pid_t group) noexcept;
  /// Called by: the worker, before it reaps the group's leader, so that a group on the board is
  /// never somebody else's.
  void clear(std::size_t place) noexcept { group_of(place).store(0); }

  /// Called by: the command, also in a signal handler.
  void request(Stop stop) noexcept;
  /// Called by: the command, when the worker of the job at `place` is gone.
  void kill(std::size_t place) noexcept;

 private:
  using Word = std::atomic<std::int32_t>;
  static_assert(Word::is_always_lock_free && sizeof(Word) == 4,
                "it is shared by processes and stored in signal handlers");

  enum Claim : std::int32_t { waiting, claimed, taken_back };

  [[nodiscard]] Word& group_of(std::size_t place) noexcept { return words_[1 + 2 * place]; }
  [[nodiscard]] Word& claim_of(std::size_t place) noexcept { return words_[2 + 2 * place]; }
  [[nodiscard]] bool take(std::size_t place, Claim claim) noexcept {
    std::int32_t expected = waiting;
    return claim_of(place).compare_exchange_strong(expected, claim);
  }
  [[nodiscard]] std::size_t words() const noexcept { return 1 + 2 * places_; }

  Word* words_;
  std::size_t places_;
};

}  // namespace pinion::command
