#include "topo_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <vector>

#include "errors.hpp"

namespace pinion::command {
namespace {

const char* bind_name(Bind bind) {
  switch (bind) {
    case Bind::close:
      return "close";
    case Bind::spread:
      return "spread";
    case Bind::primary:
      return "primary";
  }
  return "unknown";
}

std::string number_of(unsigned n, const char* thing) {
  return fmt::format("{} {}{}", n, thing, n == 1 ? "" : "s");
}

// In the syntax of a placement, so that it can be copied into one.
std::string as_placement(const std::vector<std::string>& places) {
  std::string text;
  for (const std::string& place : places) {
    text += (text.empty() ? "{" : ",{") + place + "}";
  }
  return text;
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : printable(text)) {  // now it is UTF-8 without control characters
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string json_string_or_null(std::string_view text) {
  return text.empty() ? "null" : json_string(text);
}

std::string json_node(int node) { return node < 0 ? "null" : std::to_string(node); }

// One element a line.
template <class List, class Write>
std::string json_array(const List& list, Write write) {
  std::string out;
  std::size_t index = 0;
  for (const auto& element : list) {
    out += (index == 0 ? "\n      " : ",\n      ") + write(element, index);
    ++index;
  }
  return list.empty() ? "[]" : "[" + out + "\n    ]";
}

std::string json_strings(const std::vector<std::string>& list) {
  return json_array(list, [](const std::string& text, std::size_t) { return json_string(text); });
}

std::string json_machine(const TopologyReport& report) {
  const auto node = [](const TopologyReport::MemoryNode& n, std::size_t) {
    return fmt::format(R"({{"index": {}, "cpus": {}, "memory_bytes": {}}})", n.index,
                       json_string(n.cpus), n.memory_bytes);
  };
  return fmt::format(
      R"({{
    "sockets": {},
    "cores": {},
    "threads": {},
    "numa_nodes": {}
  }})",
      report.sockets, report.cores, report.threads, json_array(report.numa_nodes, node));
}

std::string json_usable(const TopologyReport& report) {
  const auto source = [](const TopologyReport::Source& s, std::size_t) {
    return fmt::format(R"({{"name": {}, "said": {}, "decided": {}}})", json_string(s.name),
                       json_string(s.said), s.decided);
  };
  return fmt::format(
      R"({{
    "cpus": {},
    "quota_cores": {},
    "sources": {}
  }})",
      json_string(report.usable), report.quota_cores ? std::to_string(*report.quota_cores) : "null",
      json_array(report.sources, source));
}

std::string json_placement(const TopologyReport& report) {
  const auto worker = [](const TopologyReport::Worker& w, std::size_t index) {
    return fmt::format(R"({{"index": {}, "cpus": {}, "numa_node": {}}})", index,
                       json_string_or_null(w.cpus), json_node(w.numa_node));
  };
  return fmt::format(
      R"({{
    "decided_by": {},
    "bind": {},
    "places": {},
    "workers": {},
    "spare": {},
    "notes": {}
  }})",
      json_string(report.decided_by), json_string(bind_name(report.bind)),
      json_strings(report.places), json_array(report.workers, worker),
      json_string_or_null(report.spare), json_strings(report.notes));
}

}  // namespace

std::string topo_text(const TopologyReport& report) {
  std::string out;
  const auto line = [&](const std::string& text) { out += printable(text) + "\n"; };
  line("machine");
  line(fmt::format("  {}, {}, {}", number_of(report.sockets, "socket"),
                   number_of(report.cores, "core"), number_of(report.threads, "thread")));

  std::size_t width = std::string_view("usable").size();
  for (const auto& source : report.sources) width = std::max(width, source.name.size());
  line("usable CPUs");
  for (const auto& source : report.sources) {
    line(fmt::format("  {} {:<{}}  {}", source.decided ? '*' : ' ', source.name, width,
                     source.said));
  }
  line(fmt::format("    {:<{}}  {}", "usable", width, report.usable));

  line("placement");
  line("  decided by " + report.decided_by);
  if (report.places.empty()) {
    line("  places: none, workers are not bound");
  } else {
    line(
        fmt::format("  places, dealt {}: {}", bind_name(report.bind), as_placement(report.places)));
  }
  for (std::size_t i = 0; i < report.workers.size(); ++i) {
    const auto& worker = report.workers[i];
    line(fmt::format("  worker {}: {}{}", i,
                     worker.cpus.empty() ? "not bound" : "CPU " + worker.cpus,
                     worker.numa_node < 0 ? "" : fmt::format(", NUMA node {}", worker.numa_node)));
  }
  if (!report.spare.empty()) line("  kept free: CPU " + report.spare);
  for (const std::string& note : report.notes) line("  note: " + note);

  line("NUMA nodes");
  for (const auto& node : report.numa_nodes) {
    line(fmt::format("  node {}: {}, {} MiB", node.index,
                     node.cpus.empty() ? "no CPU" : "CPU " + node.cpus, node.memory_bytes >> 20));
  }
  line("I/O");
  line(fmt::format("  {}: {}", report.io_backend, report.io_reason));
  return out;
}

std::string topo_json(const TopologyReport& report) {
  return fmt::format(
      R"({{
  "machine": {},
  "usable": {},
  "placement": {},
  "io": {{"backend": {}, "reason": {}}}
}}
)",
      json_machine(report), json_usable(report), json_placement(report),
      json_string(report.io_backend), json_string(report.io_reason));
}

}  // namespace pinion::command
