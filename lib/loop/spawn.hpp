// Starting a program with vfork semantics: clone(CLONE_VM | CLONE_VFORK), whatever our own size.
#pragma once

#include <sys/types.h>

#include <pinion/process.hpp>

#include "lib/os/fd.hpp"

namespace pinion::loop {

struct Spawned {
  pid_t pid = 0;
  os::Fd pidfd;
};

/// Throws `std::system_error` with the step that failed and its errno; nothing is left behind.
/// The calling thread waits until the child has executed the program.
Spawned start_process(const io::SpawnRequest& request);

}  // namespace pinion::loop
