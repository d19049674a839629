// What every worker does with its life, wherever it runs.
#pragma once

#include <optional>

#include "lib/start/birth.hpp"
#include "workers/channel.hpp"
#include "workers/worker.hpp"

namespace pinion::workers {

/// Makes the worker: binds the calling thread, runs the initializer, and says that it is ready.
/// False where it could not, of which the manager has been told.
bool begin(const start::Birth& birth, Channel& channel, std::optional<Worker>& worker);

/// All of it: begins, and runs tasks until it is told to leave. Returns the exit code.
int serve(const start::Birth& birth, Channel& channel);

}  // namespace pinion::workers
