// Which start method a pool gets.
#pragma once

#include <pinion/kinds.hpp>

namespace pinion::start {

/// What `automatic` stands for here and now; else `wanted`, if this process allows it. Throws
/// `StartError` with the remedy.
StartMethod choose_method(StartMethod wanted);

}  // namespace pinion::start
