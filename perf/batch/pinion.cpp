// The command, with as many jobs and slots as the reference; the start of the command counts.
#include <cstdlib>
#include <string>
#include <vector>

#include "perf/batch/job.hpp"
#include "perf/harness/child.hpp"
#include "perf/harness/contestant.hpp"
#include "perf/harness/spin.hpp"
#include "perf/sizes.hpp"

namespace pinion::perf {
namespace {

/// tools/perf.sh says which; else the one that is installed.
std::string command() {
  const char* given = std::getenv("PINION_COMMAND");
  return given != nullptr ? given : "pinion";
}

Sample pinion_run() {
  std::vector<std::string> argv{command(), "run", "-j", std::to_string(sizes::batch_slots),
                                batch_job, ":::"};
  for (unsigned job = 1; job <= sizes::batch_jobs; ++job) argv.push_back(std::to_string(job));
  const auto start = Clock::now();
  output_of(argv);
  return {seconds_since(start), sizes::batch_jobs};
}

const Contestant registered{"batch/pinion_run", pinion_run};

}  // namespace
}  // namespace pinion::perf
