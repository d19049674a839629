// What a process of ours does right after it was made by fork or clone.
#pragma once

#include <sys/types.h>

#include <span>

namespace pinion::start {

/// Dies by SIGKILL when the thread that made this process ends; at once if that has happened.
void die_with_parent(pid_t parent) noexcept;

/// Replaces each descriptor above 2 that is not in `keep` by one that refuses every use (EBADF):
/// the number stays taken, so that nothing of ours can come to lie where the user's code expects
/// its own.
void block_inherited_descriptors(std::span<const int> keep) noexcept;

/// Handlers of the host program must not run here: dispositions back to default, SIGINT and SIGPIPE
/// ignored, no signal blocked.
void reset_signals() noexcept;

/// Drops what the host program had in its output buffers, so that it is not printed twice.
void discard_inherited_output() noexcept;

}  // namespace pinion::start
