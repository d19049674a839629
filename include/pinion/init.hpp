// The first line of main, for start methods that run the program anew.
#pragma once

#include <pinion/detail/api.hpp>

namespace pinion {

/// Call it first in `main`. In a process that was started to be a worker it does not return; else
/// it returns at once. With the start method `fork` there is no such process.
PINION_API void init(int argc, char** argv);

}  // namespace pinion
