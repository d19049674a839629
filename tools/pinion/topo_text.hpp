// What `pinion topo` prints.
#pragma once

#include <pinion/topo.hpp>

#include <string>

namespace pinion::command {

/// For people: groups of indented lines. What comes from the environment is made printable.
[[nodiscard]] std::string topo_text(const TopologyReport& report);

/// For programs: one JSON object (RFC 8259), indented, in UTF-8. What is not there is null: the
/// CPUs of a worker that is not bound, a node that is not one, a quota.
[[nodiscard]] std::string topo_json(const TopologyReport& report);

}  // namespace pinion::command
