// The subcommands. They return the exit status and print their errors themselves.
#pragma once

#include <string>
#include <vector>

namespace pinion::command {

int run_command(const std::vector<std::string>& arguments);
int topo_command(const std::vector<std::string>& arguments);

}  // namespace pinion::command
