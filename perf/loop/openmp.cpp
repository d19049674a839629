// OpenMP's static loop, in a process of its own for each measurement.
#include "perf/harness/child.hpp"
#include "perf/harness/contestant.hpp"
#include "perf/harness/cpus.hpp"
#include "perf/sizes.hpp"

namespace pinion::perf {
namespace {

Sample openmp() {
  const auto [first, second] = two_cpus();
  const std::string ns =
      output_of({beside_this("perf_openmp_square")},
                {"OMP_WAIT_POLICY=active", "OMP_DYNAMIC=false", "OMP_PROC_BIND=true",
                 "OMP_PLACES=" + place_of(first) + "," + place_of(second)});
  return {std::stod(ns) * 1e-9, sizes::loops};
}

const Contestant registered{"loop/openmp", openmp};

}  // namespace
}  // namespace pinion::perf
