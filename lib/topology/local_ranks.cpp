#include "lib/topology/local_ranks.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>
#include <vector>

namespace pinion::topology {
namespace {

// Takes a number off the front of `text`.
std::optional<unsigned> take_number(std::string_view& text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

std::optional<unsigned> number_in(const Environment& environment, const char* name) {
  const char* const value = environment(name);
  if (value == nullptr) return std::nullopt;
  std::string_view text(value);
  const auto number = take_number(text);
  return text.empty() ? number : std::nullopt;
}

// Slurm's tasks per node: "4(x2),3" is 4 on nodes 0 and 1, and 3 on node 2.
std::optional<unsigned> slurm_tasks(const Environment& environment) {
  const char* const value = environment("SLURM_STEP_TASKS_PER_NODE");
  if (value == nullptr) {
    // A batch script has SLURM_NTASKS_PER_NODE too, and what it starts without srun is alone.
    if (environment("SLURM_STEP_ID") == nullptr) return std::nullopt;
    return number_in(environment, "SLURM_NTASKS_PER_NODE");
  }
  unsigned node = number_in(environment, "SLURM_NODEID").value_or(0);
  for (std::string_view text(value); !text.empty();) {
    const auto tasks = take_number(text);
    if (!tasks) return std::nullopt;
    unsigned nodes = 1;
    if (text.substr(0, 2) == "(x") {
      text.remove_prefix(2);
      nodes = take_number(text).value_or(1);
      if (text.substr(0, 1) == ")") text.remove_prefix(1);
    }
    if (node < nodes) return tasks;
    node -= nodes;
    if (text.substr(0, 1) != ",") return std::nullopt;
    text.remove_prefix(1);
  }
  return std::nullopt;
}

}  // namespace

std::optional<LocalRank> local_rank(const Environment& environment) {
  struct Names {
    const char* rank;
    const char* size;
  };
  constexpr Names launchers[] = {
      {"OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"},
      {"MPI_LOCALRANKID", "MPI_LOCALNRANKS"},
      {"MV2_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_SIZE"},
      {"PMI_LOCAL_RANK", "PMI_LOCAL_SIZE"},
  };
  const auto known = [](const char* source, std::optional<unsigned> rank,
                        std::optional<unsigned> size) -> std::optional<LocalRank> {
    if (!rank || !size || *rank >= *size) return std::nullopt;
    return LocalRank{*rank, *size, source};
  };
  for (const Names& names : launchers) {
    auto found =
        known(names.rank, number_in(environment, names.rank), number_in(environment, names.size));
    if (found) return found;
  }
  return known("SLURM_LOCALID", number_in(environment, "SLURM_LOCALID"), slurm_tasks(environment));
}

UsableCpus share_between_ranks(UsableCpus usable, const Topology& topology,
                               const Environment& environment) {
  const auto local = local_rank(environment);
  if (!local || local->size < 2) return usable;
  if (usable.bound && !topology.cpus().is_subset_of(usable.cpus)) return usable;

  std::vector<CpuSet> cores;
  for (const CpuSet& core : topology.level(Level::cores)) {
    CpuSet part = core & usable.cpus;
    if (!part.empty()) cores.push_back(std::move(part));
  }
  if (cores.empty()) return usable;  // the topology shows none of them
  const std::size_t n = cores.size();
  std::size_t first = local->rank % n;
  std::size_t end = first + 1;
  if (local->size < n) {  // the first ranks get one core more where it does not come out even
    const std::size_t each = n / local->size;
    const std::size_t more = n % local->size;
    first = local->rank * each + std::min<std::size_t>(local->rank, more);
    end = first + each + (local->rank < more ? 1 : 0);
  }
  CpuSet share;
  for (std::size_t i = first; i < end; ++i) share |= cores[i];

  for (UsableSource& source : usable.sources) source.decided = false;
  usable.sources.push_back({"local ranks",
                            share.text() + " (rank " + std::to_string(local->rank) + " of " +
                                std::to_string(local->size) + " on this node by " + local->source +
                                ", none of them bound)",
                            true});
  usable.share = std::move(share);
  if (usable.quota_cores) {
    usable.quota_cores = (*usable.quota_cores + local->size - 1) / local->size;
  }
  return usable;
}

}  // namespace pinion::topology
