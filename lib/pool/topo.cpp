#include <pinion/topo.hpp>

#include "lib/loop/probe.hpp"
#include "lib/topology/local_ranks.hpp"
#include "lib/topology/plan.hpp"
#include "lib/topology/usable_cpus.hpp"

namespace pinion {
namespace {

unsigned count(const topology::Topology& machine, topology::Level level) {
  return static_cast<unsigned>(machine.level(level).size());
}

void describe_machine(TopologyReport& report, const topology::Topology& machine) {
  report.sockets = count(machine, topology::Level::sockets);
  report.cores = count(machine, topology::Level::cores);
  report.threads = count(machine, topology::Level::threads);
  for (const auto& node : machine.numa_nodes()) {
    report.numa_nodes.push_back({node.index, node.cpus.text(), node.memory_bytes});
  }
}

void describe_usable(TopologyReport& report, const topology::UsableCpus& usable) {
  for (const auto& source : usable.sources) {
    report.sources.push_back({source.name, source.said, source.decided});
  }
  report.usable = usable.own().text();
  report.quota_cores = usable.quota_cores;
}

void describe_plan(TopologyReport& report, const topology::Plan& plan) {
  report.decided_by = plan.source;
  for (const auto& place : plan.places) report.places.push_back(place.text());
  for (const auto& worker : plan.workers) {
    report.workers.push_back({worker.cpus.text(), worker.numa_node});
  }
  report.spare = plan.spare.text();
  report.notes = plan.notes;
}

}  // namespace

TopologyReport describe_topology(const Placement& placement, unsigned processes) {
  const topology::Topology& machine = topology::Topology::machine();
  const topology::Environment environment = topology::process_environment();
  const topology::UsableCpus usable =
      topology::share_between_ranks(topology::usable_cpus(), machine, environment);
  TopologyReport report;
  describe_machine(report, machine);
  describe_usable(report, usable);
  describe_plan(report, topology::make_plan(placement, processes, machine, usable, environment));
  report.bind = placement.bind();
  loop::BackendHere io = loop::backend_here();
  report.io_backend = std::move(io.name);
  report.io_reason = std::move(io.reason);
  return report;
}

}  // namespace pinion
