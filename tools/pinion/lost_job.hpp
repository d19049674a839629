// Finds a job whose worker has died before it could say which process it had started.
#pragma once

#include <cstdint>

namespace pinion::command {

/// Kills the process groups whose members have the pipe with this inode number as standard output:
/// the job's own, since nobody else has that pipe there. Reads all of /proc.
void kill_holders(std::uint32_t pipe_inode) noexcept;

}  // namespace pinion::command
