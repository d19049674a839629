#include "lib/loop/probe.hpp"

#include <exception>

#include "lib/loop/backend.hpp"
#include "lib/loop/completions.hpp"
#include "lib/loop/loop.hpp"

namespace pinion::loop {

std::string describe_backend() {
  try {
    const IoBackend wanted = backend_from_environment();
    const bool forced = wanted != IoBackend::automatic;
    Completions completions;
    const ChosenBackend chosen = make_backend(wanted, completions);
    return std::string(chosen.kind == IoBackend::uring ? "uring: " : "poll: ") +
           (forced ? "asked for by PINION_IO" : chosen.reason);
  } catch (const std::exception& e) {
    return std::string("none: ") + e.what();
  }
}

}  // namespace pinion::loop
