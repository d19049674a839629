// What is fuzzed: a program of bytes, run by each of the fuzz tests in its own way. What does not
// hold ends the process.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace fuzz {

void run_program(std::span<const std::uint8_t> program);

/// Programs to begin with.
std::vector<std::vector<std::uint8_t>> seed_programs();

}  // namespace fuzz
