// Starting a program of the suite, and what it says.
#pragma once

#include <string>
#include <vector>

namespace pinion::perf {

/// Starts `argv` with `environment` ("NAME=value") added to ours, waits for it, and returns what it
/// wrote to its standard output. Throws `Skip` when it cannot be started,
/// `std::runtime_error` when it does not end with 0.
std::string output_of(const std::vector<std::string>& argv,
                      const std::vector<std::string>& environment = {});

/// The path of a program that the build puts beside this one.
std::string beside_this(const std::string& name);

}  // namespace pinion::perf
