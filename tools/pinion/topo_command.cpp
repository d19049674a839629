// `pinion topo`.

#include <pinion/topo.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>

#include "commands.hpp"
#include "errors.hpp"
#include "options.hpp"

namespace pinion::command {
namespace {

void print_group(const char* title, const std::vector<std::string>& lines) {
  fmt::print("{}\n", title);
  for (const std::string& line : lines) fmt::print("  {}\n", line);
}

void print(const TopologyReport& report) {
  std::size_t width = 0;
  for (const auto& [what, value] : report.usable) width = std::max(width, what.size());
  fmt::print("usable CPUs\n");
  for (const auto& [what, value] : report.usable) fmt::print("  {:<{}}  {}\n", what, width, value);
  print_group("placement", report.placement);
  print_group("NUMA nodes", report.numa);
  fmt::print("I/O\n  {}\n", report.io);
}

}  // namespace

int topo_command(const std::vector<std::string>& arguments) {
  try {
    const Parsed<TopoOptions> parsed = parse_topo(arguments);
    if (parsed.help) {
      fmt::print("{}", *parsed.help);
    } else {
      print(describe_topology(parsed.options.placement, parsed.options.processes));
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
