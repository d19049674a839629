#include "lib/topology/plan.hpp"

#include <algorithm>
#include <stdexcept>

#include "lib/topology/local_ranks.hpp"
#include "lib/topology/places.hpp"

namespace pinion::topology {
namespace {

using Places = std::vector<CpuSet>;

struct Choice {
  Places places;
  bool bound = true;
};

// The usable part of each resource of a level, in the machine's order. The topology is a snapshot,
// what is usable is not: a CPU that went online since is a core of its own.
Places usable_level(Level level, const Topology& topology, const CpuSet& usable) {
  Places places;
  for (const CpuSet& resource : topology.level(level)) {
    CpuSet part = resource & usable;
    if (!part.empty()) places.push_back(std::move(part));
  }
  if (level == Level::threads || level == Level::cores) {
    for (const unsigned cpu : (usable - topology.cpus()).members()) places.push_back({cpu});
  }
  return places;
}

// Never empty, since every usable CPU is in one of them.
Places usable_cores(const Topology& topology, const CpuSet& usable) {
  return usable_level(Level::cores, topology, usable);
}

void require_usable(const Places& places, const UsableCpus& usable) {
  for (const CpuSet& place : places) {
    if (place.is_subset_of(usable.cpus)) continue;
    const unsigned cpu = (place - usable.cpus).members().front();
    throw std::invalid_argument("CPU " + std::to_string(cpu) + " is outside the usable set {" +
                                usable.cpus.text() + "}, which the " + usable.decided_by() +
                                " decided");
  }
}

// Holds a text against the machine. Throws std::invalid_argument.
Choice resolve(const std::string& text, const Topology& topology, const UsableCpus& usable) {
  PlacesRequest request = parse_places(text);
  if (!request.level) {
    require_usable(request.places, usable);
    return {std::move(request.places)};
  }
  Places places = usable_level(*request.level, topology, usable.own());
  const std::size_t wanted = request.count.value_or(static_cast<unsigned>(places.size()));
  if (places.empty() || wanted > places.size()) {
    throw std::invalid_argument("\"" + text + "\" asks for " +
                                std::to_string(std::max<std::size_t>(wanted, 1)) + " " +
                                level_name(*request.level) + ", but the usable set {" +
                                usable.own().text() + "} has " + std::to_string(places.size()));
  }
  places.resize(wanted);
  return {std::move(places)};
}

Choice resolve_strictly(const char* who, const std::string& text, const Topology& topology,
                        const UsableCpus& usable) {
  if (names_no_places(text)) return {usable_cores(topology, usable.own()), false};
  try {
    return resolve(text, topology, usable);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(std::string(who) + ": " + error.what());
  }
}

std::string variable(const Environment& environment, const char* name) {
  const char* const value = environment(name);
  return value == nullptr ? std::string() : std::string(value);
}

Choice choose(Plan& plan, const Placement& placement, const Topology& topology,
              const UsableCpus& usable, const Environment& environment) {
  if (placement.is_none()) {
    plan.source = "option: none";
    return {usable_cores(topology, usable.own()), false};
  }
  if (!placement.is_default()) {
    plan.source = "option \"" + placement.places() + "\"";
    return resolve_strictly("placement", placement.places(), topology, usable);
  }
  if (const std::string text = variable(environment, "PINION_PLACES"); !text.empty()) {
    plan.source = "PINION_PLACES \"" + text + "\"";
    return resolve_strictly("PINION_PLACES", text, topology, usable);
  }
  if (const std::string text = variable(environment, "OMP_PLACES"); !text.empty()) {
    try {
      Choice choice = resolve(text, topology, usable);
      plan.source = "OMP_PLACES \"" + text + "\"";
      return choice;
    } catch (const std::invalid_argument& error) {
      plan.notes.push_back(std::string("OMP_PLACES is ignored: ") + error.what());
    }
  }
  plan.source = "default: one worker per usable core";
  return {usable_cores(topology, usable.own())};
}

// Takes the first `wanted` cores out of the places, but leaves one. Returns how many.
unsigned keep_free(Plan& plan, Places& places, unsigned wanted, const Topology& topology) {
  CpuSet all;
  for (const CpuSet& place : places) all |= place;
  const Places cores = usable_cores(topology, all);
  const unsigned kept =
      std::min(wanted, static_cast<unsigned>(std::max<std::size_t>(cores.size(), 1) - 1));
  if (kept < wanted) {
    plan.notes.push_back("spare(" + std::to_string(wanted) + ") keeps only " +
                         std::to_string(kept) + " of " + std::to_string(cores.size()) +
                         " cores free, so that one is left for the workers");
  }
  for (unsigned i = 0; i < kept; ++i) plan.spare |= cores[i];
  for (CpuSet& place : places) place -= plan.spare;
  std::erase_if(places, [](const CpuSet& place) { return place.empty(); });
  return kept;
}

unsigned default_count(Plan& plan, std::size_t places, unsigned spared, const UsableCpus& usable) {
  const auto count = static_cast<unsigned>(places);
  if (!usable.quota_cores) return count;
  const unsigned quota = *usable.quota_cores;
  const unsigned allowed = quota > spared ? quota - spared : 1;
  if (allowed >= count) return count;
  plan.notes.push_back("the CPU quota of " + std::to_string(quota) +
                       (quota == 1 ? " core" : " cores") + " leaves " + std::to_string(allowed) +
                       " of " + std::to_string(count) + " places in use");
  return allowed;
}

// Where the workers of a place are not neighbours by number, a pool's first few tasks, which go to
// its first workers, do not share a core while others idle.
std::size_t place_of(std::size_t worker, std::size_t workers, std::size_t places, Bind bind) {
  if (bind == Bind::primary) return 0;
  if (bind == Bind::close || workers > places) return worker % places;
  const std::size_t each = places / workers;  // the first parts have one place more
  return worker * each + std::min(worker, places % workers);
}

}  // namespace

Plan make_plan(const Placement& placement, unsigned processes, const Topology& topology,
               const UsableCpus& usable, const Environment& environment) {
  if (usable.cpus.empty()) throw std::invalid_argument("placement: no CPU is usable");
  Plan plan;
  Choice choice = choose(plan, placement, topology, usable, environment);
  Places& places = choice.places;
  const unsigned spared = keep_free(plan, places, placement.spare_cores(), topology);
  if (processes == 0) processes = default_count(plan, places.size(), spared, usable);
  plan.workers.resize(processes);
  if (!choice.bound) {  // the scheduler may put a worker on any of them
    plan.spare = {};
    return plan;
  }
  for (unsigned i = 0; i < processes; ++i) {
    const CpuSet& place = places[place_of(i, processes, places.size(), placement.bind())];
    plan.workers[i] = {place, topology.node_of(place)};
  }
  plan.places = std::move(places);
  return plan;
}

Plan plan_here(const Placement& placement, unsigned processes) {
  const Topology& topology = Topology::machine();
  const Environment environment = process_environment();
  return make_plan(placement, processes, topology,
                   share_between_ranks(usable_cpus(), topology, environment), environment);
}

}  // namespace pinion::topology
