// Who runs where: plans on described machines, and the shape of this one.
#include <doctest/doctest.h>

#include <chrono>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "lib/topology/binding.hpp"
#include "support/seed.hpp"
#include "unit/plan_helpers.hpp"

namespace {

using namespace checks;

// Two sockets, a node each, two caches each, four cores each, two threads each; the second
// threads are numbered after all first ones, as Linux numbers them.
const Topology& two_sockets() {
  static const Topology machine = Topology::synthetic(
      "pack:2 [numa(memory=1GB)] l3:2 core:2 "
      "pu:2(indexes=0,8,1,9,2,10,3,11,4,12,5,13,6,14,7,15)");
  return machine;
}

}  // namespace

TEST_CASE("a described machine has its levels, neighbours beside each other") {
  const Topology& machine = two_sockets();
  CHECK(machine.cpus().text() == "0-15");
  CHECK(sets(machine.level(Level::cores)) == "0,8|1,9|2,10|3,11|4,12|5,13|6,14|7,15");
  CHECK(sets(machine.level(Level::ll_caches)) == "0-1,8-9|2-3,10-11|4-5,12-13|6-7,14-15");
  CHECK(sets(machine.level(Level::numa_domains)) == "0-3,8-11|4-7,12-15");
  CHECK(sets(machine.level(Level::sockets)) == "0-3,8-11|4-7,12-15");
  CHECK(machine.level(Level::threads).size() == 16);
  CHECK(machine.node_of({0, 9}) == 0);
  CHECK(machine.node_of({4}) == 1);
  CHECK(machine.node_of({3, 4}) == -1);
  CHECK(machine.node_of({}) == -1);
}

TEST_CASE("what a machine does not show is replaced by the next thing it does") {
  const Topology machine = Topology::synthetic("pu:4");
  CHECK(sets(machine.level(Level::cores)) == "0|1|2|3");
  CHECK(sets(machine.level(Level::ll_caches)) == "0-3");
  CHECK(sets(machine.level(Level::sockets)) == "0-3");
  CHECK(sets(machine.level(Level::numa_domains)) == "0-3");
  CHECK_THROWS_AS((void)Topology::synthetic("pack:nonsense"), std::invalid_argument);
}

TEST_CASE("CPUs that are offline do not appear") {
  const Topology machine = Topology::synthetic("pack:2 core:2 pu:2", CpuSet{1, 2, 3});
  CHECK(machine.cpus().text() == "0,4-7");
  CHECK(sets(machine.level(Level::cores)) == "0|4-5|6-7");
  CHECK(cpus_of(make_plan({}, 0, machine, usable("0,4-7"), nothing)) == "0|4-5|6-7");
}

TEST_CASE("default: one worker per usable core, with all its usable threads") {
  const Plan plan = make_plan({}, 0, two_sockets(), usable("0-15"), nothing);
  CHECK(cpus_of(plan) == "0,8|1,9|2,10|3,11|4,12|5,13|6,14|7,15");
  CHECK(nodes_of(plan) == "0 0 0 0 1 1 1 1");
  CHECK(plan.source == "default: one worker per usable core");
  CHECK(plan.notes.empty());
  CHECK(cpus_of(make_plan({}, 0, two_sockets(), usable("1,5,13-15"), nothing)) == "1|5,13|14|15");
  CHECK(cpus_of(make_plan({}, 3, two_sockets(), usable("0-15"), nothing)) == "0,8|1,9|2,10");
}

TEST_CASE("more workers than places wrap round them") {
  CHECK(cpus_of(make_plan({}, 5, two_sockets(), usable("0-1"), nothing)) == "0|1|0|1|0");
  const Placement spread("{0},{1}", Bind::spread);
  CHECK(cpus_of(make_plan(spread, 3, two_sockets(), usable("0-1"), nothing)) == "0|1|0");
}

TEST_CASE("close, spread and primary deal as OpenMP does") {
  const auto deal = [](Bind bind, unsigned workers) {
    return cpus_of(
        make_plan(Placement("0-7", bind), workers, two_sockets(), usable("0-15"), nothing));
  };
  CHECK(deal(Bind::close, 3) == "0|1|2");
  CHECK(deal(Bind::close, 8) == "0|1|2|3|4|5|6|7");
  CHECK(deal(Bind::close, 10) == "0|1|2|3|4|5|6|7|0|1");
  CHECK(deal(Bind::spread, 1) == "0");
  CHECK(deal(Bind::spread, 2) == "0|4");
  CHECK(deal(Bind::spread, 3) == "0|3|6");
  CHECK(deal(Bind::spread, 4) == "0|2|4|6");
  CHECK(deal(Bind::spread, 5) == "0|2|4|6|7");
  CHECK(deal(Bind::spread, 8) == "0|1|2|3|4|5|6|7");
  CHECK(deal(Bind::spread, 9) == "0|1|2|3|4|5|6|7|0");
  CHECK(deal(Bind::primary, 3) == "0|0|0");
  CHECK(deal(Bind::primary, 9) == "0|0|0|0|0|0|0|0|0");
}

TEST_CASE("for any number of workers and places the rules of proc_bind hold") {
  const Topology machine = Topology::synthetic("pack:1 core:24 pu:1");
  for (unsigned places = 1; places <= 24; ++places) {
    for (unsigned workers = 1; workers <= 50; ++workers) {
      CAPTURE(places);
      CAPTURE(workers);
      const auto deal = [&](Bind bind) {
        const std::string text = "0-" + std::to_string(places - 1);
        const Plan plan =
            make_plan(Placement(text, bind), workers, machine, usable("0-23"), nothing);
        REQUIRE(plan.workers.size() == workers);
        REQUIRE(plan.places.size() == places);
        std::vector<unsigned> place;
        for (const auto& worker : plan.workers) place.push_back(worker.cpus.members().front());
        return place;
      };
      const std::vector<unsigned> close = deal(Bind::close);
      const std::vector<unsigned> spread = deal(Bind::spread);
      for (unsigned i = 0; i < workers; ++i) REQUIRE(close[i] == i % places);
      REQUIRE(deal(Bind::primary) == std::vector<unsigned>(workers, 0));
      if (workers > places) {  // floor or ceil of workers / places in each
        REQUIRE(spread == close);
        continue;
      }
      // Worker i has the first place of part i; parts are floor or ceil of places / workers long.
      REQUIRE(spread.front() == 0);
      for (unsigned i = 0; i < workers; ++i) {
        const unsigned end = i + 1 < workers ? spread[i + 1] : places;
        const unsigned length = end - spread[i];
        REQUIRE(length >= places / workers);
        REQUIRE(length <= (places + workers - 1) / workers);
      }
    }
  }
}

TEST_CASE("abstract names are cut down to the usable CPUs") {
  const auto deal = [](const char* places, const char* cpus) {
    return cpus_of(make_plan(Placement(places), 0, two_sockets(), usable(cpus), nothing));
  };
  CHECK(deal("threads", "0-2,8") == "0|8|1|2");
  CHECK(deal("threads(2)", "0-15") == "0|8");
  CHECK(deal("cores", "2-5") == "2|3|4|5");
  CHECK(deal("cores(4)", "0-15") == "0,8|1,9|2,10|3,11");
  CHECK(deal("ll_caches", "0-3,8") == "0-1,8|2-3");
  CHECK(deal("sockets", "3-4") == "3|4");
  CHECK(deal("numa_domains", "0-15") == "0-3,8-11|4-7,12-15");
  CHECK(deal("{0:2}:2:2", "0-15") == "0-1|2-3");
}

TEST_CASE("a CPU outside the usable set is an error that names both") {
  CHECK(refusal(Placement("0-7,16"), two_sockets(), usable("0-15")) ==
        "placement: CPU 16 is outside the usable set {0-15}, which the affinity mask decided");
  CHECK(refusal(Placement("{0:4}"), two_sockets(), usable("1-15")) ==
        "placement: CPU 0 is outside the usable set {1-15}, which the affinity mask decided");
  CHECK(refusal(Placement("cores(5)"), two_sockets(), usable("0-3")) ==
        "placement: \"cores(5)\" asks for 5 cores, but the usable set {0-3} has 4");
  CHECK(refusal(Placement("{0"), two_sockets(), usable("0-3")).find("placement: places \"{0\"") ==
        0);
}

TEST_CASE("the option goes before PINION_PLACES, that before OMP_PLACES, that before the default") {
  const auto both = variables({{"PINION_PLACES", "2"}, {"OMP_PLACES", "3"}});
  const auto hint = variables({{"PINION_PLACES", ""}, {"OMP_PLACES", "{3}"}});
  const auto plan = [](const Placement& placement, const Environment& environment) {
    return make_plan(placement, 0, two_sockets(), usable("0-3"), environment);
  };
  CHECK(cpus_of(plan(Placement("1"), both)) == "1");
  CHECK(plan(Placement("1"), both).source == "option \"1\"");
  CHECK(cpus_of(plan({}, both)) == "2");
  CHECK(plan({}, both).source == "PINION_PLACES \"2\"");
  CHECK(cpus_of(plan({}, hint)) == "3");
  CHECK(plan({}, hint).source == "OMP_PLACES \"{3}\"");
  CHECK(cpus_of(plan({}, nothing)) == "0|1|2|3");
  CHECK(cpus_of(plan({}, variables({{"PINION_PLACES", "none"}}))) == "|||");
  CHECK(cpus_of(plan(Placement(" None "), both)) == "|||");
  // As a hint of OpenMP it is not a word.
  CHECK(cpus_of(plan({}, variables({{"OMP_PLACES", "none"}}))) == "0|1|2|3");
}

TEST_CASE("PINION_PLACES is strict, OMP_PLACES is a hint") {
  CHECK(refusal({}, two_sockets(), usable("0-3"), variables({{"PINION_PLACES", "9"}}))
            .find("PINION_PLACES: CPU 9 is outside") == 0);
  CHECK(refusal({}, two_sockets(), usable("0-3"), variables({{"PINION_PLACES", "{"}}))
            .find("PINION_PLACES: places \"{\"") == 0);
  for (const std::string hint : {"9", "{", "cores(99)", "{0:99999}"}) {
    CAPTURE(hint);
    const Plan plan =
        make_plan({}, 0, two_sockets(), usable("0-3"), variables({{"OMP_PLACES", hint}}));
    CHECK(cpus_of(plan) == "0|1|2|3");
    CHECK(plan.source == "default: one worker per usable core");
    REQUIRE(plan.notes.size() == 1);
    CHECK(plan.notes[0].find("OMP_PLACES is ignored: ") == 0);
  }
}

TEST_CASE("none binds nothing, and still counts cores") {
  const Plan plan = make_plan(Placement::none(), 0, two_sockets(), usable("0-15"), nothing);
  CHECK(plan.workers.size() == 8);
  CHECK(cpus_of(plan) == "|||||||");
  CHECK(nodes_of(plan) == "-1 -1 -1 -1 -1 -1 -1 -1");
  CHECK(plan.source == "option: none");
  CHECK(plan.places.empty());
  CHECK(make_plan(Placement::none(), 3, two_sockets(), usable("0-15"), nothing).workers.size() ==
        3);
  CHECK(make_plan(Placement::none().spare(2), 0, two_sockets(), usable("0-15", 5), nothing)
            .workers.size() == 3);
  // Nothing is kept free where the scheduler may put a worker anywhere.
  CHECK(make_plan(Placement::none().spare(2), 0, two_sockets(), usable("0-15"), nothing)
            .spare.empty());
}

TEST_CASE("the quota limits how many there are by default, not how many are asked for") {
  const Plan plan = make_plan({}, 0, two_sockets(), usable("0-15", 3), nothing);
  CHECK(cpus_of(plan) == "0,8|1,9|2,10");
  REQUIRE(plan.notes.size() == 1);
  CHECK(plan.notes[0] == "the CPU quota of 3 cores leaves 3 of 8 places in use");
  CHECK(make_plan({}, 6, two_sockets(), usable("0-15", 3), nothing).workers.size() == 6);
  CHECK(make_plan({}, 0, two_sockets(), usable("0-15", 64), nothing).workers.size() == 8);
  CHECK(make_plan(Placement().spare(3), 0, two_sockets(), usable("0-15", 1), nothing)
            .workers.size() == 1);
}

TEST_CASE("spare keeps cores free for the caller, but leaves one for the workers") {
  const Plan plan = make_plan(Placement().spare(2), 0, two_sockets(), usable("0-3"), nothing);
  CHECK(cpus_of(plan) == "2|3");
  CHECK(plan.spare.text() == "0-1");
  CHECK(plan.notes.empty());
  CHECK(cpus_of(make_plan(Placement().spare(1), 3, two_sockets(), usable("0-2"), nothing)) ==
        "1|2|1");
  CHECK(cpus_of(make_plan(Placement("sockets").spare(1), 0, two_sockets(), usable("0-15"),
                          nothing)) == "1-3,9-11|4-7,12-15");
  const Plan most = make_plan(Placement().spare(9), 0, two_sockets(), usable("0-1"), nothing);
  CHECK(cpus_of(most) == "1");
  REQUIRE(most.notes.size() == 1);
  CHECK(most.notes[0].find("spare(9) keeps only 1 of 2 cores free") == 0);
}

TEST_CASE("a rank's share limits the default and the names, not explicit CPUs") {
  UsableCpus cpus = usable("0-15");
  cpus.share = CpuSet::parse("0-1,8-9");
  CHECK(cpus_of(make_plan({}, 0, two_sockets(), cpus, nothing)) == "0,8|1,9");
  CHECK(cpus_of(make_plan(Placement("sockets"), 0, two_sockets(), cpus, nothing)) == "0-1,8-9");
  CHECK(cpus_of(make_plan(Placement("12"), 0, two_sockets(), cpus, nothing)) == "12");
}

TEST_CASE("a machine of 256 threads and memory nodes of two kinds is dealt with") {
  const Topology machine =
      Topology::synthetic("pack:2 [numa(memory=64GB)] [numa(memory=0)] l3:8 core:8 pu:2");
  CHECK(machine.cpus().text() == "0-255");
  CHECK(machine.numa_nodes().size() == 4);
  CHECK(machine.level(Level::numa_domains).size() == 2);
  const Plan plan = make_plan({}, 0, machine, usable("0-255"), nothing);
  REQUIRE(plan.workers.size() == 128);
  CHECK(plan.workers.front().cpus.text() == "0-1");
  CHECK(plan.workers.back().cpus.text() == "254-255");
  std::set<int> nodes;
  for (const auto& worker : plan.workers) nodes.insert(worker.numa_node);
  CHECK(nodes.size() == 2);
  for (const auto& node : machine.numa_nodes()) {
    CHECK(nodes.contains(node.index) == (node.memory_bytes != 0));
  }
  const Plan wide =
      make_plan(Placement("ll_caches", Bind::spread), 4, machine, usable("0-255"), nothing);
  CHECK(cpus_of(wide) == "0-15|64-79|128-143|192-207");
}

TEST_CASE("CPUs beyond 1,024 are placed like others") {
  const Topology machine = Topology::synthetic("pack:4 core:256 pu:2");
  CHECK(machine.cpus().text() == "0-2047");
  CHECK(cpus_of(make_plan({}, 0, machine, usable("1022-1027"), nothing)) ==
        "1022-1023|1024-1025|1026-1027");
}

TEST_CASE("usable CPUs that the topology does not show are places of their own") {
  CHECK(cpus_of(make_plan({}, 0, two_sockets(), usable("100-101"), nothing)) == "100|101");
  CHECK(cpus_of(make_plan({}, 0, two_sockets(), usable("0,8,100"), nothing)) == "0,8|100");
  CHECK(cpus_of(make_plan(Placement("threads"), 0, two_sockets(), usable("0,8,100"), nothing)) ==
        "0|8|100");
}

TEST_CASE("whatever is asked, no CPU outside the usable set ever appears") {
  const auto seed = static_cast<unsigned>(checks::seed());
  CAPTURE(seed);
  std::mt19937 random(seed);
  const auto below = [&](unsigned n) {
    return std::uniform_int_distribution<unsigned>(0, n - 1)(random);
  };
  const char* const texts[] = {"",          "threads",    "cores",      "ll_caches", "numa_domains",
                               "sockets",   "cores(2)",   "threads(3)", "0-3",       "{0:4}:2:4",
                               "{1,3},{5}", "sockets(2)", "{7:3:-2},9"};
  const Topology machines[] = {Topology::synthetic("pack:2 numa:2 l3:1 core:2 pu:2"),
                               Topology::synthetic("pack:1 l3:4 core:4 pu:1"), two_sockets(),
                               Topology::synthetic("pack:4 core:4 pu:1", CpuSet{0, 3, 9})};
  unsigned planned = 0;
  for (int i = 0; i < 5'000; ++i) {
    const Topology& machine = machines[below(4)];
    UsableCpus cpus;
    for (unsigned cpu = 0; cpu < 16; ++cpu) {
      if (below(4) != 0) cpus.cpus.add(cpu);
    }
    if (cpus.cpus.empty()) cpus.cpus.add(below(16));
    if (below(3) == 0) cpus.quota_cores = 1 + below(20);
    const auto bind = static_cast<Bind>(below(3));
    const Placement placement = Placement(texts[below(13)], bind).spare(below(4));
    const unsigned processes = below(20);
    const auto environment =
        variables({{"OMP_PLACES", texts[below(13)]}, {"PINION_PLACES", texts[below(13)]}});
    CAPTURE(placement.places());
    CAPTURE(cpus.cpus.text());
    try {
      const Plan plan = make_plan(placement, processes, machine, cpus, environment);
      ++planned;
      REQUIRE_FALSE(plan.workers.empty());
      if (processes != 0) REQUIRE(plan.workers.size() == processes);
      for (const auto& worker : plan.workers) {
        REQUIRE_FALSE(worker.cpus.empty());
        REQUIRE(worker.cpus.is_subset_of(cpus.cpus));
        REQUIRE_FALSE(worker.cpus.intersects(plan.spare));
      }
    } catch (const std::invalid_argument&) {
      continue;  // explicit CPUs that were not usable
    }
  }
  CHECK(planned > 1'000);
}

TEST_CASE("this machine is loaded once, quickly, and without moving the caller") {
  const CpuSet before = topology::bound_cpus();
  const auto start = std::chrono::steady_clock::now();
  const Topology fresh = Topology::load();
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  CHECK(topology::bound_cpus() == before);
  CHECK(&Topology::machine() == &Topology::machine());
  CHECK(Topology::machine().cpus() == fresh.cpus());
  CHECK_FALSE(fresh.numa_nodes().empty());
  CHECK_FALSE(fresh.level(Level::cores).empty());
  CHECK(took.count() < 2'000);
}

TEST_CASE("a plan for this machine can be carried out") {
  const Plan plan = topology::plan_here(Placement("cores"), 0);
  REQUIRE_FALSE(plan.workers.empty());
  const CpuSet before = topology::bound_cpus();
  CHECK(topology::bind_self(plan.workers.back().cpus) == plan.workers.back().cpus);
  topology::bind_self(before);
}
