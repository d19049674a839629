#include <pinion/topo.hpp>

#include "lib/loop/probe.hpp"
#include "lib/topology/local_ranks.hpp"
#include "lib/topology/plan.hpp"
#include "lib/topology/usable_cpus.hpp"

namespace pinion {

TopologyReport describe_topology(const Placement& placement, unsigned processes) {
  const topology::Topology& machine = topology::Topology::machine();
  const topology::Environment environment = topology::process_environment();
  const topology::UsableCpus usable =
      topology::share_between_ranks(topology::usable_cpus(), machine, environment);
  TopologyReport report;
  for (const auto& source : usable.sources) {
    report.usable.emplace_back((source.decided ? "* " : "  ") + source.name, source.said);
  }
  report.usable.emplace_back("  usable", usable.own().text());
  const topology::Plan plan =
      topology::make_plan(placement, processes, machine, usable, environment);
  report.placement.push_back("decided by " + plan.source);
  for (std::size_t i = 0; i < plan.workers.size(); ++i) {
    const auto& worker = plan.workers[i];
    std::string line = "worker " + std::to_string(i) + ": ";
    line += worker.cpus.empty() ? "not bound" : "CPU " + worker.cpus.text();
    if (worker.numa_node >= 0) line += ", NUMA node " + std::to_string(worker.numa_node);
    report.placement.push_back(std::move(line));
  }
  if (!plan.spare.empty()) report.placement.push_back("kept free: CPU " + plan.spare.text());
  for (const std::string& note : plan.notes) report.placement.push_back("note: " + note);
  for (const auto& node : machine.numa_nodes()) {
    report.numa.push_back("node " + std::to_string(node.index) + ": CPU " + node.cpus.text() +
                          ", " + std::to_string(node.memory_bytes >> 20) + " MiB");
  }
  report.io = loop::describe_backend();
  return report;
}

}  // namespace pinion
