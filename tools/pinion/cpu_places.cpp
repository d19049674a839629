#include "cpu_places.hpp"

#include <pinion/topo.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "errors.hpp"

namespace pinion::command {
namespace {

unsigned take_number(std::string_view& text) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

}  // namespace

std::string without_ranges(const std::string& list) {
  std::string result;
  for (std::string_view rest = list; !rest.empty();) {
    const unsigned first = take_number(rest);
    unsigned last = first;
    if (rest.starts_with('-')) {
      rest.remove_prefix(1);
      last = take_number(rest);
    }
    for (unsigned cpu = first; cpu <= last; ++cpu) {
      if (!result.empty()) result += ',';
      result += std::to_string(cpu);
    }
    rest.remove_prefix(std::min<std::size_t>(rest.size(), 1));  // the comma
  }
  return result;
}

// A pool with default options has one worker for each place.
std::vector<std::string> cpu_places(const Placement& placement) {
  std::vector<std::string> places;
  for (const TopologyReport::Worker& worker : describe_topology(placement).workers) {
    places.push_back(without_ranges(worker.cpus));
  }
  return places;
}

Placement group_places(const std::vector<std::string>& places, unsigned count, Bind bind) {
  if (places.size() < count) {
    throw UsageError(fmt::format("--cpus {}: only {} core{} may be used (pinion topo tells why)",
                                 count, places.size(), places.size() == 1 ? "" : "s"));
  }
  if (places.front().empty()) return Placement::none();
  std::string text;
  for (std::size_t first = 0; first + count <= places.size(); first += count) {
    text += text.empty() ? "{" : ",{";
    for (std::size_t i = 0; i < count; ++i) text += (i > 0 ? "," : "") + places[first + i];
    text += '}';
  }
  return Placement(text, bind);
}

}  // namespace pinion::command
