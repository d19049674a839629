// Whether this process may be forked: only one thread would go on in the child.
#pragma once

namespace pinion::start {

/// Throws `StartError` where the process has threads besides the caller and the service and helper
/// threads of pools.
void require_no_other_threads();

}  // namespace pinion::start
