// Plans in short: what is usable, what the environment says, and who went where.
#pragma once

#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "lib/topology/plan.hpp"
#include "lib/topology/topology.hpp"

namespace checks {

namespace topology = pinion::topology;
using pinion::Bind;
using pinion::Placement;
using topology::CpuSet;
using topology::Environment;
using topology::Level;
using topology::make_plan;
using topology::Plan;
using topology::Topology;
using topology::UsableCpus;

inline Environment variables(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const char* name) -> const char* {
    const auto found = values.find(name);
    return found == values.end() ? nullptr : found->second.c_str();
  };
}

inline const Environment nothing = variables({});

inline UsableCpus usable(const std::string& cpus, std::optional<unsigned> quota = std::nullopt) {
  UsableCpus out;
  out.cpus = CpuSet::parse(cpus);
  out.quota_cores = quota;
  return out;
}

/// "0-1|4": one set, "|", the next.
inline std::string sets(const std::vector<CpuSet>& list) {
  std::string text;
  for (std::size_t i = 0; i < list.size(); ++i) text += (i == 0 ? "" : "|") + list[i].text();
  return text;
}

/// The workers' CPUs: "0|1|2-3", "" for an unbound one.
inline std::string cpus_of(const Plan& plan) {
  std::vector<CpuSet> cpus;
  for (const auto& worker : plan.workers) cpus.push_back(worker.cpus);
  return sets(cpus);
}

inline std::string nodes_of(const Plan& plan) {
  std::string text;
  for (const auto& worker : plan.workers) {
    text += (text.empty() ? "" : " ") + std::to_string(worker.numa_node);
  }
  return text;
}

inline std::string refusal(const Placement& placement, const Topology& machine,
                           const UsableCpus& cpus, const Environment& environment = nothing) {
  try {
    (void)make_plan(placement, 0, machine, cpus, environment);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace checks
