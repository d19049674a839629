// Runs all contestants of one question in rounds, each round between two readings of L, and writes
// what was found as JSON. Google Benchmark registers, selects (--benchmark_filter) and times them;
// the rounds are ours, so that what is compared was measured within the same second.
#include <benchmark/benchmark.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <pinion/init.hpp>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <functional>
#include <iomanip>
#include <iostream>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "perf/harness/contestant.hpp"
#include "perf/harness/cpus.hpp"
#include "perf/harness/probe.hpp"

namespace pinion::perf {
namespace {

std::vector<Registered>& registry() {
  static std::vector<Registered> all;
  return all;
}

struct Round {
  double probe_before = 0;
  double probe_after = 0;
  std::map<std::string, double> ns;  // by contestant
};

/// Keeps the one number of each run, instead of printing it.
class Collector : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      const auto operations = run.counters.find("operations");
      if (operations == run.counters.end()) continue;  // skipped
      round.ns[run.run_name.function_name] =
          run.real_accumulated_time * 1e9 / operations->second.value;
    }
  }

  Round round;
  // Why there is no number, by contestant: it cannot be had here, or what is measured failed.
  std::map<std::string, std::string> skipped;
  std::map<std::string, std::string> broken;
};

void measure(benchmark::State& state, const Registered& contestant, Collector& collector) {
  for ([[maybe_unused]] auto _ : state) {
    try {
      const Sample sample = contestant.measure();
      state.SetIterationTime(sample.seconds);
      state.counters["operations"] = static_cast<double>(sample.operations);
    } catch (const Skip& reason) {
      collector.skipped[contestant.name] = reason.what();
      state.SkipWithError("skipped");
    } catch (const std::exception& error) {
      collector.broken[contestant.name] = error.what();
      state.SkipWithError("broken");
    }
  }
}

std::string cpu_model() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const auto colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

std::string json_text(std::string_view text) {
  std::ostringstream out;
  out << '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') out << '\\';
    out << (static_cast<unsigned char>(c) < 0x20 ? ' ' : c);
  }
  out << '"';
  return out.str();
}

template <typename Map, typename Show>
std::string object(const Map& map, Show show) {
  std::string out = "{";
  for (const auto& [key, value] : map) {
    if (out.size() > 1) out += ", ";
    out += json_text(key) + ": " + show(value);
  }
  return out + "}";
}

std::string number(double value) {
  std::ostringstream out;
  out << std::setprecision(6) << value;
  return out.str();
}

void write(const std::string& path, const std::vector<Round>& rounds, const Collector& collector) {
  utsname system{};
  uname(&system);
  std::ofstream out(path);
  out << "{\n  \"machine\": "
      << json_text(cpu_model() + ", " + std::to_string(sysconf(_SC_NPROCESSORS_ONLN)) + " CPUs, " +
                   system.sysname + " " + system.release)
      << ",\n  \"compiler\": " << json_text(__VERSION__) << ",\n  \"cpus\": [" << two_cpus().first
      << ", " << two_cpus().second << "],\n  \"skipped\": " << object(collector.skipped, json_text)
      << ",\n  \"broken\": " << object(collector.broken, json_text) << ",\n  \"rounds\": [\n";
  for (const Round& round : rounds) {
    out << "    {\"L\": [" << round.probe_before << ", " << round.probe_after
        << "], \"ns\": " << object(round.ns, number) << "}"
        << (&round == &rounds.back() ? "\n" : ",\n");
  }
  out << "  ]\n}\n";
  if (!out.flush()) throw std::runtime_error("cannot write " + path);
}

/// One round: the order alternates, so that none always follows the same rival.
Round run_round(std::vector<std::string> names, bool backwards, Collector& collector) {
  if (backwards) std::reverse(names.begin(), names.end());
  collector.round = Round{};
  collector.round.probe_before = probe_ns();
  for (const std::string& name : names) {
    if (!collector.skipped.contains(name) && !collector.broken.contains(name)) {
      benchmark::RunSpecifiedBenchmarks(&collector, "^" + name + "/.*$");
    }
  }
  collector.round.probe_after = probe_ns();
  return collector.round;
}

}  // namespace

Contestant::Contestant(std::string name, std::function<Sample()> measure) {
  registry().push_back({std::move(name), std::move(measure)});
}

std::vector<Registered> contestants() {
  std::vector<Registered> all = registry();
  std::ranges::sort(all, {}, &Registered::name);
  return all;
}

int run(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  unsigned rounds = 0;
  if (argc != 3 ||
      std::from_chars(argv[1], argv[1] + std::string_view(argv[1]).size(), rounds).ec !=
          std::errc{} ||
      rounds == 0) {
    std::cerr << "usage: " << argv[0] << " ROUNDS OUT.json [--benchmark_filter=REGEX]\n";
    return 2;
  }
  two_cpus();
  Collector collector;
  const std::string filter = benchmark::GetBenchmarkFilter();
  std::vector<std::string> names;
  for (const Registered& contestant : contestants()) {
    if (!filter.empty() && !std::regex_search(contestant.name, std::regex(filter))) continue;
    names.push_back(contestant.name);
    benchmark::RegisterBenchmark(contestant.name.c_str(), measure, contestant, std::ref(collector))
        ->Iterations(1)
        ->UseManualTime();
  }
  std::vector<Round> found;
  for (unsigned i = 0; i < rounds; ++i) {
    found.push_back(run_round(names, i % 2 == 1, collector));
  }
  write(argv[2], found, collector);
  return 0;
}

}  // namespace pinion::perf

int main(int argc, char** argv) {
  pinion::init(argc, argv);
  try {
    return pinion::perf::run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return 1;
  }
}
