// Looks processes up that nobody has told us of: members of a group, and a job whose worker has
// died before it could say which process it had started.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace pinion::command {

/// Kills the process groups whose members have the pipe with this inode number as standard output:
/// the job's own, since nobody else has that pipe there. Reads all of /proc.
void kill_holders(std::uint32_t pipe_inode) noexcept;

/// Whether a process of the group still runs: one that has ended and was not reaped does not. Reads
/// all of /proc.
[[nodiscard]] bool group_is_alive(pid_t group) noexcept;

}  // namespace pinion::command
