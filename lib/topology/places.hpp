// The text of a placement: the grammar of OMP_PLACES, and CPU lists.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "lib/topology/cpu_set.hpp"
#include "lib/topology/topology.hpp"

namespace pinion::topology {

/// A text of places, read but not yet held against a machine.
struct PlacesRequest {
  std::optional<Level> level{};     ///< set for an abstract name
  std::optional<unsigned> count{};  ///< of "cores(4)"; at least 1
  std::vector<CpuSet> places{};     ///< for a list; none is empty
};

/// Most places in one text, and most CPUs over all of them.
inline constexpr unsigned places_max = 16'384;
inline constexpr unsigned place_cpus_max = 1u << 20;

/// Reads `text`:
///
///     text     = name | name "(" count ")" | item { "," item }
///     name     = "threads" | "cores" | "ll_caches" | "numa_domains" | "sockets"
///     item     = "!" place | place [ ":" count [ ":" stride ] ] | cpu "-" cpu
///     place    = cpu | "{" resource { "," resource } "}"
///     resource = "!" cpu | cpu [ ":" count [ ":" stride ] ] | cpu "-" cpu
///
/// (OpenMP 5.2, section 21.1.6, and the ranges of CPU lists.) `place:count:stride` is the place
/// repeated, each copy `stride` (default 1, may be negative, not 0) further on. `!` takes out what
/// is named before it: a CPU from its place, a place from the list; what is not there cannot be
/// taken out. A range outside braces is one place per CPU. Names are read in any case, white space
/// is skipped.
///
/// Throws std::invalid_argument with the text, the position and what was expected.
[[nodiscard]] PlacesRequest parse_places(std::string_view text);

/// Whether `text` is the word "none", in any case: bind nothing. It is no part of the grammar.
[[nodiscard]] bool names_no_places(std::string_view text);

}  // namespace pinion::topology
