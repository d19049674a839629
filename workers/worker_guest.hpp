// A worker that its callers run: the start method `serial`.
#pragma once

#include <memory>

#include "lib/start/birth.hpp"

namespace pinion::workers {

/// Its initializer runs at the first `run`.
std::unique_ptr<start::Guest> make_guest(const start::Birth& birth, start::LocalHome& home);

}  // namespace pinion::workers
