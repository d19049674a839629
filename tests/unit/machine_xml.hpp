// Machines of at most 32 CPUs in hwloc's XML: for what its synthetic descriptions cannot say, such
// as cores of two kinds, offline CPUs, and memory that is near to no or to every CPU.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace checks {

/// A part of a machine, by hwloc's name of its type.
struct Part {
  std::string type;
  std::string attributes;
  unsigned number = 0;       // the kernel's, of a CPU or a memory node
  std::vector<Part> inside;  // memory nodes first: they are near to all of the other parts
};

inline Part cpu(unsigned number) { return {"PU", "", number, {}}; }
inline Part memory(unsigned number, std::uint64_t bytes) {
  return {"NUMANode", "local_memory=\"" + std::to_string(bytes) + "\"", number, {}};
}
inline Part core(unsigned number, std::vector<Part> cpus) {
  return {"Core", "", number, std::move(cpus)};
}
inline Part cache(unsigned level, std::vector<Part> inside) {
  const std::string n = std::to_string(level);
  return {"L" + n + "Cache",
          "cache_size=\"1048576\" cache_linesize=\"64\" cache_associativity=\"0\" cache_type=\"0\" "
          "depth=\"" +
              n + "\"",
          0, std::move(inside)};
}
inline Part socket(unsigned number, std::vector<Part> inside) {
  return {"Package", "", number, std::move(inside)};
}

/// The text of a machine. Bit n of `offline` and `disallowed` is CPU n; those offline must not be
/// in `inside`.
class MachineXml {
 public:
  explicit MachineXml(std::vector<Part> inside, std::uint32_t offline = 0,
                      std::uint32_t disallowed = 0)
      : offline_(offline), disallowed_(disallowed) {
    write({"Machine", "", 0, std::move(inside)}, 0, 0);
  }

  [[nodiscard]] std::string text() const {
    return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE topology SYSTEM \"hwloc2.dtd\">\n"
           "<topology version=\"2.0\">\n" +
           body_ + "</topology>\n";
  }

 private:
  static std::string hex(std::uint32_t mask) {
    char digits[16];
    std::snprintf(digits, sizeof digits, "0x%08x", static_cast<unsigned>(mask));
    return digits;
  }

  // The CPUs, or the memory nodes, below a part.
  static std::uint32_t below(const Part& part, const char* type) {
    std::uint32_t mask = part.type == type ? 1u << part.number : 0;
    for (const Part& inner : part.inside) mask |= below(inner, type);
    return mask;
  }

  void write(const Part& part, std::uint32_t cpus_around, std::uint32_t nodes_around) {
    const bool node = part.type == "NUMANode";
    const bool all = part.type == "Machine";
    const std::uint32_t cpus = node ? cpus_around : below(part, "PU");
    const std::uint32_t nodes = below(part, "NUMANode") | (node ? 0 : nodes_around);
    const std::uint32_t known = all ? cpus | offline_ : cpus;
    body_ += "<object type=\"" + part.type + "\" os_index=\"" + std::to_string(part.number) +
             "\" cpuset=\"" + hex(cpus) + "\" complete_cpuset=\"" + hex(known) + "\" nodeset=\"" +
             hex(nodes) + "\" complete_nodeset=\"" + hex(nodes) + "\" gp_index=\"" +
             std::to_string(++written_) + "\" " + part.attributes;
    if (all) {
      body_ += " allowed_cpuset=\"" + hex(cpus & ~disallowed_) + "\" allowed_nodeset=\"" +
               hex(nodes) + "\"";
    }
    body_ += ">\n";
    std::uint32_t near = nodes_around;
    for (const Part& inner : part.inside) {
      if (inner.type == "NUMANode") near |= 1u << inner.number;
    }
    for (const Part& inner : part.inside) write(inner, cpus, near);
    body_ += "</object>\n";
  }

  std::uint32_t offline_;
  std::uint32_t disallowed_;
  std::string body_;
  unsigned written_ = 0;
};

}  // namespace checks
