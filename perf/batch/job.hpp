// The job of a batch: the smallest program there is everywhere.
#pragma once

namespace pinion::perf {

inline constexpr const char* batch_job = "/bin/true";

}  // namespace pinion::perf
