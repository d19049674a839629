// L: the round trip of a cache line between two pinned processes, the unit of every latency bound.
#pragma once

namespace pinion::perf {

/// Nanoseconds of one round trip, now: two flags, one for each direction, on lines of their own. On
/// a virtual machine it changes from second to second with where the host runs the two CPUs.
double probe_ns();

}  // namespace pinion::perf
