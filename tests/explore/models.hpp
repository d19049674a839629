// The memories that `Memory::make` chooses from.
#pragma once

#include <memory>

#include "tests/explore/memory.hpp"

namespace explore {

std::unique_ptr<Memory> make_tso_memory();
std::unique_ptr<Memory> make_weak_memory();

}  // namespace explore
