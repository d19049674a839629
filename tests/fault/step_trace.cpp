#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>
#include <unordered_map>

#include "fault/stepper.hpp"

namespace checks {

namespace {

struct Range {
  std::uint64_t begin = 0, end = 0;
  [[nodiscard]] bool has(std::uint64_t address) const { return address >= begin && address < end; }
};

/// Where code lies: in this process, and so in those that it has forked.
std::vector<Range> code_of(const std::string& name) {
  std::vector<Range> found;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.size() < name.size() ||
        line.compare(line.size() - name.size(), name.npos, name) != 0) {
      continue;
    }
    Range range;
    char rights[5];
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &range.begin, &range.end, rights) == 3 &&
        rights[2] == 'x') {
      found.push_back(range);
    }
  }
  return found;
}

std::vector<Range> program_code() {
  char path[4096];
  const ssize_t n = ::readlink("/proc/self/exe", path, sizeof path);
  return n <= 0 ? std::vector<Range>{} : code_of(std::string(path, static_cast<std::size_t>(n)));
}

bool in_any(const std::vector<Range>& ranges, std::uint64_t address) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [address](const Range& range) { return range.has(address); });
}

}  // namespace

Trace Trace::of(const std::uint64_t* addresses, std::size_t count) {
  Trace trace;
  trace.at.assign(addresses, addresses + count);
  const auto program = program_code();
  constexpr std::uint32_t steps_a_visit = 5;  // that take as long
  std::unordered_map<std::uint64_t, std::uint32_t> visits;
  std::uint32_t landmark = 0;
  std::uint64_t cost = 0;
  for (std::uint32_t k = 0; k < count; ++k, ++cost) {
    const std::uint32_t visit = ++visits[trace.at[k]];
    const bool ours = in_any(program, trace.at[k]);
    if (ours && visit * steps_a_visit <= cost) {
      landmark = k;
      cost = visit * steps_a_visit;
    }
    trace.visit.push_back(visit);
    trace.landmark.push_back(landmark);
    trace.ours.push_back(ours);
  }
  return trace;
}

bool Trace::same_way(const Trace& other) const {
  const auto own_code = [](const Trace& trace) {
    std::vector<std::uint64_t> own;
    for (std::size_t k = 0; k < trace.at.size(); ++k) {
      if (trace.ours[k]) own.push_back(trace.at[k]);
    }
    return own;
  };
  return own_code(*this) == own_code(other);
}

std::vector<std::size_t> Trace::choose(std::size_t library_max, std::mt19937_64& random) const {
  std::vector<std::size_t> chosen;
  std::vector<std::size_t> library;
  for (std::size_t k = 0; k < at.size(); ++k) {
    const bool edge = (k > 0 && ours[k - 1]) || (k + 1 < at.size() && ours[k + 1]);
    (ours[k] || edge ? chosen : library).push_back(k);
  }
  chosen.push_back(at.size());
  std::shuffle(library.begin(), library.end(), random);
  // Deep within a long loop each costs all the rounds before it: a few of those must do.
  std::size_t steps_left = 100'000;
  if (std::getenv("PINION_TEST_EVERY_STEP") != nullptr) {
    library_max = steps_left = std::numeric_limits<std::size_t>::max();
  }
  for (const std::size_t k : library) {
    const std::size_t steps = k - landmark[k];
    if (library_max == 0 || steps > 10'000 || (steps > 1000 && steps > steps_left)) continue;
    if (steps > 1000) steps_left -= steps;
    --library_max;
    chosen.push_back(k);
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace checks
