// What `pinion topo` prints of a machine, for people and for programs.
#include <doctest/doctest.h>

#include <string>

#include "tools/pinion/topo_text.hpp"

using namespace pinion::command;
using pinion::TopologyReport;

namespace {

TopologyReport two_sockets() {
  TopologyReport report;
  report.sockets = 2;
  report.cores = 2;
  report.threads = 4;
  report.numa_nodes = {{0, "0,2", 3 << 20}, {1, "1,3", 1 << 20}, {2, "", 1 << 20}};
  report.sources = {{"online CPUs", "0-3 (/sys/devices/system/cpu/online)", false},
                    {"affinity mask", "0-2", true},
                    {"CPU quota", "no limit", false}};
  report.usable = "0-2";
  report.decided_by = "option \"threads\"";
  report.bind = pinion::Bind::spread;
  report.places = {"2", "1"};
  report.workers = {{"2", 0}, {"1", 1}};
  report.spare = "0";
  report.notes = {"a note"};
  report.io_backend = "poll";
  report.io_reason = "io_uring_setup: Operation not permitted";
  return report;
}

TopologyReport unbound() {
  TopologyReport report;
  report.sockets = report.cores = report.threads = 1;
  report.usable = "0";
  report.quota_cores = 1;
  report.decided_by = "option: none";
  report.workers = {{"", -1}};
  report.io_backend = "uring";
  report.io_reason = "it works";
  return report;
}

}  // namespace

TEST_CASE("for people: the machine, what is usable and why, places, workers, memory, I/O") {
  CHECK(topo_text(two_sockets()) == R"text(machine
  2 sockets, 2 cores, 4 threads
usable CPUs
    online CPUs    0-3 (/sys/devices/system/cpu/online)
  * affinity mask  0-2
    CPU quota      no limit
    usable         0-2
placement
  decided by option "threads"
  places, dealt spread: {2},{1}
  worker 0: CPU 2, NUMA node 0
  worker 1: CPU 1, NUMA node 1
  kept free: CPU 0
  note: a note
NUMA nodes
  node 0: CPU 0,2, 3 MiB
  node 1: CPU 1,3, 1 MiB
  node 2: no CPU, 1 MiB
I/O
  poll: io_uring_setup: Operation not permitted
)text");
  CHECK(topo_text(unbound()) == R"text(machine
  1 socket, 1 core, 1 thread
usable CPUs
    usable  0
placement
  decided by option: none
  places: none, workers are not bound
  worker 0: not bound
NUMA nodes
I/O
  uring: it works
)text");
}

TEST_CASE("for programs: the same as JSON") {
  CHECK(topo_json(two_sockets()) == R"text({
  "machine": {
    "sockets": 2,
    "cores": 2,
    "threads": 4,
    "numa_nodes": [
      {"index": 0, "cpus": "0,2", "memory_bytes": 3145728},
      {"index": 1, "cpus": "1,3", "memory_bytes": 1048576},
      {"index": 2, "cpus": "", "memory_bytes": 1048576}
    ]
  },
  "usable": {
    "cpus": "0-2",
    "quota_cores": null,
    "sources": [
      {"name": "online CPUs", "said": "0-3 (/sys/devices/system/cpu/online)", "decided": false},
      {"name": "affinity mask", "said": "0-2", "decided": true},
      {"name": "CPU quota", "said": "no limit", "decided": false}
    ]
  },
  "placement": {
    "decided_by": "option \"threads\"",
    "bind": "spread",
    "places": [
      "2",
      "1"
    ],
    "workers": [
      {"index": 0, "cpus": "2", "numa_node": 0},
      {"index": 1, "cpus": "1", "numa_node": 1}
    ],
    "spare": "0",
    "notes": [
      "a note"
    ]
  },
  "io": {"backend": "poll", "reason": "io_uring_setup: Operation not permitted"}
}
)text");
  const std::string text = topo_json(unbound());
  for (const char* const part :
       {"\"numa_nodes\": []", "\"quota_cores\": 1", "\"sources\": []", "\"places\": []",
        R"text({"index": 0, "cpus": null, "numa_node": null})text", "\"spare\": null",
        "\"notes\": []"}) {
    CAPTURE(std::string(part));
    CHECK(text.find(part) != std::string::npos);
  }
}

TEST_CASE("what the environment says does nothing to a terminal, and breaks no JSON") {
  TopologyReport report = unbound();
  report.notes = {"quote \" backslash \\ newline \n escape \x1b[2J no UTF-8 \xff"};
  CHECK(
      topo_text(report).find("quote \" backslash \\ newline \\n escape \\x1b[2J no UTF-8 \\xff") !=
      std::string::npos);
  CHECK(topo_json(report).find(
            R"text("quote \" backslash \\ newline \\n escape \\x1b[2J no UTF-8 \\xff")text") !=
        std::string::npos);
}
