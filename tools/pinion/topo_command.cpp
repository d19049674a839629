// `pinion topo`.

#include <fmt/format.h>

#include <cstdio>
#include <exception>

#include "commands.hpp"
#include "errors.hpp"
#include "options.hpp"
#include "topo_text.hpp"

namespace pinion::command {

int topo_command(const std::vector<std::string>& arguments) {
  try {
    const Parsed<TopoOptions> parsed = parse_topo(arguments);
    if (parsed.help) {
      fmt::print("{}", *parsed.help);
    } else {
      const TopoOptions& options = parsed.options;
      const TopologyReport report = describe_topology(options.placement, options.processes);
      fmt::print("{}", options.json ? topo_json(report) : topo_text(report));
    }
    if (std::fflush(stdout) == 0) return 0;
    fmt::print(stderr, "pinion topo: cannot write to standard output\n");
  } catch (const UsageError& error) {
    fmt::print(stderr, "pinion topo: {}\npinion topo: pinion topo --help shows how it is used\n",
               printable(error.what()));
  } catch (const std::exception& error) {
    fmt::print(stderr, "pinion topo: {}\n", printable(error.what()));
  }
  return 255;
}

}  // namespace pinion::command
