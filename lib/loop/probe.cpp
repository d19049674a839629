#include "lib/loop/probe.hpp"

#include <exception>

#include "lib/loop/backend.hpp"
#include "lib/loop/completions.hpp"
#include "lib/loop/loop.hpp"

namespace pinion::loop {

BackendHere backend_here() {
  try {
    const IoBackend wanted = backend_from_environment();
    const bool forced = wanted != IoBackend::automatic;
    Completions completions;
    const ChosenBackend chosen = make_backend(wanted, completions);
    return {chosen.kind == IoBackend::uring ? "uring" : "poll",
            forced ? "asked for by PINION_IO" : chosen.reason};
  } catch (const std::exception& e) {
    return {"none", e.what()};
  }
}

}  // namespace pinion::loop
