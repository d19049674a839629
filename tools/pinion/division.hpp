// How a run's jobs are divided among workers.
#pragma once

namespace pinion::command {

/// How many workers to make and how many jobs each runs at once.
struct Division {
  unsigned workers = 1;
  unsigned jobs_each = 1;
  unsigned jobs = 1;     ///< at once, in all: at most workers * jobs_each
  unsigned threads = 0;  ///< for each job; 0: as many as its worker has CPUs
  unsigned ahead = 0;    ///< submitted beyond that, so that a worker need not wait for the command
};

// How many jobs to submit beyond those that run at once: one for each worker. None where a job must
// not begin before the command has looked (`exact`), where the workers could run more jobs than may
// run at once, or where looking at all of them would cost more than it saves.
inline unsigned jobs_ahead(const Division& division, bool exact) {
  constexpr unsigned looked_at_max = 256;
  const bool fits = division.workers * division.jobs_each == division.jobs;
  const bool useful = fits && division.jobs <= looked_at_max;
  return useful && !exact ? division.workers : 0;
}

}  // namespace pinion::command
