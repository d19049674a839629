// Kills the jobs when the command dies without a chance to do so itself.
#pragma once

#include <sys/types.h>

#include "descriptor.hpp"
#include "job_board.hpp"

namespace pinion::command {

/// A process that waits for the command's end, however it comes, and then kills what is still on
/// the board. The workers die with the command by themselves, but then nobody is left to end the
/// programs that they have started.
///
/// Made before the pool, while this process has one thread. Not made (and silently so) where the
/// kernel refuses one more process: it is a second line of defence.
class Guardian {
 public:
  explicit Guardian(JobBoard& board) noexcept;
  Guardian(const Guardian&) = delete;
  Guardian& operator=(const Guardian&) = delete;
  /// Dismisses it, and waits for its end: everything has ended well.
  ~Guardian();

 private:
  pid_t pid_ = -1;
  Descriptor life_;  // nobody else has this end: the kernel closes it with this process
};

}  // namespace pinion::command
