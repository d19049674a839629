// `apply` of an empty function, one after the other: both sides stay awake.
#include "perf/harness/contestant.hpp"
#include "perf/harness/one_worker.hpp"

namespace pinion::perf {
namespace {

const Contestant registered{"dispatch/apply", apply_alone};

}  // namespace
}  // namespace pinion::perf
