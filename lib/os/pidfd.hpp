// A process by descriptor: no number that the kernel may give to another.
#pragma once

#include <sys/types.h>

#include <pinion/errors.hpp>

#include <optional>

#include "lib/os/fd.hpp"

namespace pinion::os {

/// Throws `std::system_error`.
Fd open_pidfd(pid_t pid);

/// Best effort: a process that has ended already is no error.
void send_signal(int pidfd, int signal) noexcept;

/// Reaps our child without blocking. Empty while it runs; `unknown` where somebody else (the host's
/// own wait, or SIGCHLD ignored) has taken the status.
std::optional<ExitStatus> reap(int pidfd) noexcept;

/// Whether it sleeps in the kernel where no signal reaches it (state D).
bool sleeps_uninterruptibly(pid_t pid) noexcept;

/// Whether that thread, or a process's first one, sleeps (state S): it does not run, nor wait for a
/// core, nor stand stopped.
bool sleeps(pid_t pid) noexcept;

/// Waits until the process has ended or the deadline passes; false in the latter case.
bool wait_for_exit(int pidfd, std::int64_t deadline_ns) noexcept;

}  // namespace pinion::os
