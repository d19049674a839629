// The first line of main, for start methods that run the program anew, and their choice.
#pragma once

#include <pinion/detail/api.hpp>
#include <pinion/kinds.hpp>

namespace pinion {

/// Call it first in `main`. In a process that was started to make workers, or to be one, it does
/// not return; else it returns at once, and the start methods `forkserver` and `spawn` run this
/// program. Without it they run `pinion-worker`, which can run tasks of shared libraries only.
PINION_API void init(int argc, char** argv);

/// What `StartMethod::automatic` stands for in this process from now on; `automatic` is the
/// cheapest that is safe. Any thread.
PINION_API void set_start_method(StartMethod method);
[[nodiscard]] PINION_API StartMethod default_start_method() noexcept;

}  // namespace pinion
