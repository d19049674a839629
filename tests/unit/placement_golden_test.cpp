// Golden plans: what each text makes of machines of every shape, worker by worker. Edge cases 49,
// 65, 66 and 67.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "lib/topology/local_ranks.hpp"
#include "unit/machine_xml.hpp"
#include "unit/plan_helpers.hpp"

namespace {

using namespace checks;

// A row of a golden table: this text, dealt to so many workers, gives this.
struct Golden {
  std::string places;
  Bind bind;
  unsigned workers;  // 0: one for each place
  std::string cpus;
  std::string nodes;
};

void check(const Topology& machine, const UsableCpus& cpus, const std::vector<Golden>& rows) {
  for (const Golden& row : rows) {
    CAPTURE(row.places);
    CAPTURE(row.workers);
    const Placement placement = row.places.empty() ? Placement() : Placement(row.places, row.bind);
    const Plan plan = make_plan(placement, row.workers, machine, cpus, nothing);
    CHECK(cpus_of(plan) == row.cpus);
    CHECK(nodes_of(plan) == row.nodes);
    // Nothing is dealt that is not shown, and what is shown is dealt where there is a worker for
    // it.
    for (const auto& worker : plan.workers) {
      CHECK(std::count(plan.places.begin(), plan.places.end(), worker.cpus) == 1);
    }
    if (row.bind == Bind::close && row.workers == 0) CHECK(sets(plan.places) == row.cpus);
  }
}

// `cores` cores of two threads, the second ones numbered after all first ones, as Linux does.
std::string two_threads_each(unsigned cores) {
  std::string indexes;
  for (unsigned core = 0; core < cores; ++core) {
    indexes += (core == 0 ? "" : ",") + std::to_string(core) + "," + std::to_string(core + cores);
  }
  return "pu:2(indexes=" + indexes + ")";
}

}  // namespace

TEST_CASE("golden: two sockets, a node each, two threads a core") {
  const Topology machine =
      Topology::synthetic("pack:2 [numa(memory=1GB)] l3:2 core:2 " + two_threads_each(8));
  check(machine, usable("0-15"),
        {
            {"", Bind::close, 0, "0,8|1,9|2,10|3,11|4,12|5,13|6,14|7,15", "0 0 0 0 1 1 1 1"},
            {"", Bind::close, 10, "0,8|1,9|2,10|3,11|4,12|5,13|6,14|7,15|0,8|1,9",
             "0 0 0 0 1 1 1 1 0 0"},
            {"threads", Bind::close, 4, "0|8|1|9", "0 0 0 0"},
            {"threads", Bind::spread, 4, "0|2|4|6", "0 0 1 1"},
            {"cores", Bind::spread, 2, "0,8|4,12", "0 1"},
            {"cores(3)", Bind::spread, 2, "0,8|2,10", "0 0"},
            {"cores", Bind::primary, 2, "0,8|0,8", "0 0"},
            {"ll_caches", Bind::close, 0, "0-1,8-9|2-3,10-11|4-5,12-13|6-7,14-15", "0 0 1 1"},
            {"ll_caches", Bind::spread, 2, "0-1,8-9|4-5,12-13", "0 1"},
            {"numa_domains", Bind::close, 3, "0-3,8-11|4-7,12-15|0-3,8-11", "0 1 0"},
            {"sockets", Bind::close, 0, "0-3,8-11|4-7,12-15", "0 1"},
            {"{0:4}:4:4", Bind::close, 0, "0-3|4-7|8-11|12-15", "0 1 0 1"},
            {"{0:8}:2:8", Bind::close, 0, "0-7|8-15", "-1 -1"},  // across nodes
            {"{0,8}:8,!{1,9}", Bind::close, 3, "0,8|2,10|3,11", "0 0 0"},
            {"0-3,12", Bind::close, 0, "0|1|2|3|12", "0 0 0 0 1"},
        });
}

TEST_CASE("golden: sockets divided into nodes (edge case 65)") {
  const Topology machine = Topology::synthetic("pack:2 numa:2(memory=1GB) l3:1 core:2 pu:1");
  CHECK(sets(machine.level(Level::numa_domains)) == "0-1|2-3|4-5|6-7");
  CHECK(sets(machine.level(Level::sockets)) == "0-3|4-7");
  check(machine, usable("0-7"),
        {
            {"", Bind::close, 0, "0|1|2|3|4|5|6|7", "0 0 1 1 2 2 3 3"},
            {"cores", Bind::spread, 4, "0|2|4|6", "0 1 2 3"},
            {"numa_domains", Bind::close, 0, "0-1|2-3|4-5|6-7", "0 1 2 3"},
            {"sockets", Bind::close, 0, "0-3|4-7", "-1 -1"},  // each has two nodes
        });
}

TEST_CASE("golden: cores of three kinds (edge case 65)") {
  // Two cores of two threads and four small ones share a cache; two pairs of smaller ones have none
  // there, and come before and behind them.
  const Topology machine = Topology::from_xml(
      MachineXml({socket(0, {memory(0, 1 << 30), cache(2, {core(0, {cpu(0)}), core(1, {cpu(1)})}),
                             cache(3, {cache(2, {core(2, {cpu(2), cpu(3)})}),
                                       cache(2, {core(3, {cpu(4), cpu(5)})}),
                                       cache(2, {core(4, {cpu(6)}), core(5, {cpu(7)}),
                                                 core(6, {cpu(8)}), core(7, {cpu(9)})})}),
                             cache(2, {core(8, {cpu(10)}), core(9, {cpu(11)})})})})
          .text());
  CHECK(sets(machine.level(Level::cores)) == "0|1|2-3|4-5|6|7|8|9|10|11");
  check(machine, usable("0-11"),
        {
            {"", Bind::close, 0, "0|1|2-3|4-5|6|7|8|9|10|11", "0 0 0 0 0 0 0 0 0 0"},
            {"threads", Bind::close, 5, "0|1|2|3|4", "0 0 0 0 0"},
            {"ll_caches", Bind::close, 0, "0-1|2-9|10-11", "0 0 0"},
            {"sockets", Bind::close, 0, "0-11", "0"},
        });
}

TEST_CASE("golden: fast memory beside a node, and memory that is near to nobody (edge case 65)") {
  // Nodes 1 and 2 are the sockets' own; 3 and 4 lie beside them; 0 is as near to either socket.
  const auto machine_with = [](std::uint64_t own) {
    return Topology::from_xml(
        MachineXml(
            {memory(0, 1 << 30),
             socket(0, {memory(3, 1 << 29), memory(1, own), core(0, {cpu(0)}), core(1, {cpu(1)})}),
             socket(1, {memory(2, own), memory(4, 1 << 29), core(2, {cpu(2)}), core(3, {cpu(3)})})})
            .text());
  };
  const Topology machine = machine_with(1 << 30);
  CHECK(machine.numa_nodes().size() == 5);
  CHECK(sets(machine.level(Level::numa_domains)) == "0-1|2-3");
  check(machine, usable("0-3"),
        {
            {"", Bind::close, 0, "0|1|2|3", "1 1 2 2"},
            {"numa_domains", Bind::close, 0, "0-1|2-3", "1 2"},
            {"{1,2}", Bind::close, 0, "1-2", "0"},
        });
  // A node without memory holds nobody's.
  check(machine_with(0), usable("0-3"), {{"", Bind::close, 0, "0|1|2|3", "3 3 4 4"}});
}

TEST_CASE("golden: a socket without memory of its own (edge case 65)") {
  const Topology machine = Topology::from_xml(
      MachineXml({memory(0, 1 << 30), socket(0, {core(0, {cpu(0)}), core(1, {cpu(1)})}),
                  socket(1, {memory(1, 1 << 30), core(2, {cpu(2)})})})
          .text());
  CHECK(sets(machine.level(Level::numa_domains)) == "0-1|2");
  check(machine, usable("0-2"), {{"", Bind::close, 0, "0|1|2", "0 0 1"}});
}

TEST_CASE("golden: CPUs that are offline or disallowed (edge case 66)") {
  // CPU 3 is offline; a cpuset holds 4 and 5 back, which hwloc calls disallowed.
  const Topology machine = Topology::from_xml(
      MachineXml(
          {socket(0, {memory(0, 1 << 30), core(0, {cpu(0), cpu(1)}), core(1, {cpu(2)})}),
           socket(1, {memory(1, 1 << 30), core(2, {cpu(4), cpu(5)}), core(3, {cpu(6), cpu(7)})})},
          0x08, 0x30)
          .text());
  CHECK(machine.cpus().text() == "0-2,4-7");
  CHECK(sets(machine.level(Level::cores)) == "0-1|2|4-5|6-7");
  const UsableCpus cpus = usable("0-2,6-7");
  check(machine, cpus,
        {
            {"", Bind::close, 0, "0-1|2|6-7", "0 0 1"},
            {"threads", Bind::spread, 2, "0|6", "0 1"},
            {"sockets", Bind::close, 0, "0-2|6-7", "0 1"},
            {"{0,2}", Bind::close, 0, "0,2", "0"},
        });
  CHECK(refusal(Placement("3"), machine, cpus).find("CPU 3 is outside the usable set {0-2,6-7}") !=
        std::string::npos);
  CHECK(refusal(Placement("{4:4}"), machine, cpus).find("CPU 4 is outside") != std::string::npos);
  CHECK(refusal(Placement("cores(4)"), machine, cpus).find("asks for 4 cores") !=
        std::string::npos);
}

TEST_CASE("golden: masks with holes, of one CPU, and smaller than the pool (edge case 66)") {
  const Topology machine =
      Topology::synthetic("pack:2 [numa(memory=1GB)] core:8 " + two_threads_each(16));
  check(machine, usable("4,5,20,21"),
        {
            {"", Bind::close, 0, "4,20|5,21", "0 0"},
            {"threads", Bind::close, 0, "4|20|5|21", "0 0 0 0"},
            {"", Bind::close, 4, "4,20|5,21|4,20|5,21", "0 0 0 0"},
        });
  check(machine, usable("31"),
        {
            {"", Bind::close, 0, "31", "1"},
            {"", Bind::close, 8, "31|31|31|31|31|31|31|31", "1 1 1 1 1 1 1 1"},
            {"sockets", Bind::spread, 2, "31|31", "1 1"},
        });
}

TEST_CASE("golden: unbound ranks of one node share its cores (edge case 67)") {
  const Topology machine =
      Topology::synthetic("pack:2 [numa(memory=1GB)] core:4 " + two_threads_each(8));
  const auto rank = [&](int number, int size) {
    const Environment environment = variables(
        {{"MPI_LOCALRANKID", std::to_string(number)}, {"MPI_LOCALNRANKS", std::to_string(size)}});
    const UsableCpus cpus = topology::share_between_ranks(usable("0-15"), machine, environment);
    return make_plan({}, 0, machine, cpus, environment);
  };
  CHECK(cpus_of(rank(0, 2)) == "0,8|1,9|2,10|3,11");
  CHECK(nodes_of(rank(0, 2)) == "0 0 0 0");
  CHECK(cpus_of(rank(1, 2)) == "4,12|5,13|6,14|7,15");
  CHECK(nodes_of(rank(1, 2)) == "1 1 1 1");
  CHECK(cpus_of(rank(2, 3)) == "6,14|7,15");
}

TEST_CASE("golden: 256 CPUs in eight nodes") {
  const Topology machine =
      Topology::synthetic("pack:2 numa:4(memory=1GB) l3:2 core:8 " + two_threads_each(128));
  const UsableCpus cpus = usable("0-255");
  const Plan plan = make_plan({}, 0, machine, cpus, nothing);
  REQUIRE(plan.workers.size() == 128);
  for (unsigned i = 0; i < 128; ++i) {
    CHECK(plan.workers[i].cpus == CpuSet{i, i + 128});
    CHECK(plan.workers[i].numa_node == static_cast<int>(i / 16));
  }
  check(machine, cpus,
        {
            {"cores", Bind::spread, 8, "0,128|16,144|32,160|48,176|64,192|80,208|96,224|112,240",
             "0 1 2 3 4 5 6 7"},
            {"threads", Bind::spread, 3, "0|43|213", "0 2 5"},
            {"ll_caches", Bind::close, 3, "0-7,128-135|8-15,136-143|16-23,144-151", "0 0 1"},
            {"numa_domains", Bind::spread, 2, "0-15,128-143|64-79,192-207", "0 4"},
            {"sockets", Bind::close, 0, "0-63,128-191|64-127,192-255", "-1 -1"},
            {"{0:16}:3:64", Bind::close, 0, "0-15|64-79|128-143", "0 4 0"},
            {"252-255", Bind::close, 0, "252|253|254|255", "7 7 7 7"},
        });
  const Plan spare = make_plan(Placement().spare(2), 0, machine, cpus, nothing);
  CHECK(spare.workers.size() == 126);
  CHECK(spare.spare.text() == "0-1,128-129");
}

TEST_CASE("golden: 1,100 CPUs, more than a fixed set of glibc's holds (edge case 49)") {
  const Topology machine = Topology::synthetic("pack:4 [numa(memory=1GB)] l3:5 core:55 pu:1");
  CHECK(machine.cpus().text() == "0-1099");
  const UsableCpus cpus = usable("0-1099");
  const Plan plan = make_plan({}, 0, machine, cpus, nothing);
  REQUIRE(plan.workers.size() == 1100);
  for (unsigned i = 0; i < 1100; ++i) {
    CHECK(plan.workers[i].cpus == CpuSet{i});
    CHECK(plan.workers[i].numa_node == static_cast<int>(i / 275));
  }
  check(machine, cpus,
        {
            {"cores", Bind::spread, 4, "0|275|550|825", "0 1 2 3"},
            {"sockets", Bind::close, 0, "0-274|275-549|550-824|825-1099", "0 1 2 3"},
            {"ll_caches", Bind::spread, 3, "0-54|385-439|770-824", "0 1 2"},
            {"1022-1026,1099", Bind::close, 0, "1022|1023|1024|1025|1026|1099", "3 3 3 3 3 3"},
            {"{1000:50}:2:50", Bind::close, 0, "1000-1049|1050-1099", "3 3"},
        });
  check(machine, usable("1090-1099"), {{"", Bind::close, 3, "1090|1091|1092", "3 3 3"}});
  CHECK(refusal(Placement("{1000:50}:3:50"), machine, cpus).find("CPU 1100 is outside") !=
        std::string::npos);
}

TEST_CASE("what hwloc wrote down is read back as the same machine") {
  CHECK_THROWS_AS((void)Topology::from_xml("<topology"), std::invalid_argument);
  CHECK_THROWS_AS((void)Topology::from_xml(""), std::invalid_argument);
  const Topology machine = Topology::from_xml(
      MachineXml({socket(0, {memory(0, 1 << 30),
                             cache(3, {core(0, {cpu(0), cpu(2)}), core(1, {cpu(1), cpu(3)})})})})
          .text());
  const Topology same =
      Topology::synthetic("pack:1 [numa(memory=1GB)] l3:1 core:2 " + two_threads_each(2));
  for (const Level level :
       {Level::threads, Level::cores, Level::ll_caches, Level::numa_domains, Level::sockets}) {
    CHECK(sets(machine.level(level)) == sets(same.level(level)));
  }
}
