// Whether this process may be forked: only one thread would go on in the child.
#pragma once

#include <string>

namespace pinion::start {

/// The name of a thread besides the caller and the service and helper threads of pools; empty where
/// there is none.
std::string other_thread();
/// Throws `StartError` where there is one.
void require_no_other_threads();

}  // namespace pinion::start
