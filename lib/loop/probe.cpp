#include "lib/loop/probe.hpp"

#include <exception>

#include "lib/loop/backend.hpp"
#include "lib/loop/completions.hpp"
#include "lib/loop/loop.hpp"

namespace pinion::loop {

std::string describe_backend() {
  try {
    const Loop loop(IoBackend::automatic);  // reads PINION_IO
    const bool forced = loop.backend() != IoBackend::automatic;
    Completions completions;
    const ChosenBackend chosen = make_backend(loop.backend(), completions);
    return std::string(chosen.kind == IoBackend::uring ? "uring: " : "poll: ") +
           (forced ? "asked for by PINION_IO" : chosen.reason);
  } catch (const std::exception& e) {
    return std::string("none: ") + e.what();
  }
}

}  // namespace pinion::loop
