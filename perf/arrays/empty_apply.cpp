// `apply` of a function without arguments: what a handle is measured against.
#include "perf/harness/contestant.hpp"
#include "perf/harness/one_worker.hpp"

namespace pinion::perf {
namespace {

const Contestant registered{"arrays/empty_apply", apply_alone};

}  // namespace
}  // namespace pinion::perf
