#include "lib/topology/places.hpp"

#include <algorithm>
#include <string>

#include "lib/topology/text_cursor.hpp"

namespace pinion::topology {
namespace {

constexpr unsigned cpu_max = CpuSet::cpu_limit - 1;

struct Repeat {
  unsigned count = 1;
  long stride = 1;
};

class PlacesParser {
 public:
  explicit PlacesParser(std::string_view text) : cursor_("places", text) {}

  PlacesRequest parse() {
    if (cursor_.at_end()) cursor_.fail("a name, a CPU number or '{'");
    const std::size_t start = cursor_.position();
    if (const std::string name = cursor_.word(); !name.empty()) {
      parse_name(name, start);
    } else {
      do parse_item();
      while (cursor_.accept(','));
    }
    if (!cursor_.at_end()) cursor_.fail(request_.level ? "the end of the text" : "',' or the end");
    if (!request_.level && request_.places.empty()) cursor_.fail("a place that is not excluded");
    return std::move(request_);
  }

 private:
  void parse_name(const std::string& name, std::size_t start) {
    for (const Level level :
         {Level::threads, Level::cores, Level::ll_caches, Level::numa_domains, Level::sockets}) {
      if (name == level_name(level)) request_.level = level;
    }
    if (!request_.level) {
      cursor_.go_to(start);
      cursor_.fail("threads, cores, ll_caches, numa_domains, sockets, a CPU number or '{'");
    }
    if (!cursor_.accept('(')) return;
    request_.count = positive("the number of places");
    cursor_.require(')', "')'");
  }

  void parse_item() {
    if (cursor_.accept('!')) {
      exclude(place());
    } else if (cursor_.peek() == '{') {
      const CpuSet set = place();
      repeat(set, repetition());
    } else {
      const unsigned first = cpu();
      if (cursor_.accept('-')) {
        for (const unsigned one : up_to(first).members()) append({one});
      } else {
        repeat({first}, repetition());
      }
    }
  }

  CpuSet place() {
    if (cursor_.peek() != '{') return {cpu()};
    const std::size_t start = cursor_.position();
    cursor_.require('{', "'{'");
    CpuSet set;
    do parse_resource(set);
    while (cursor_.accept(','));
    cursor_.require('}', "',' or '}'");
    if (set.empty()) {
      cursor_.go_to(start);
      cursor_.fail("a place with at least one CPU");
    }
    return set;
  }

  void parse_resource(CpuSet& set) {
    if (cursor_.accept('!')) {
      const unsigned out = cpu();
      if (!set.contains(out)) {
        cursor_.fail("'!' before a CPU that is in the place, not " + std::to_string(out));
      }
      set.remove(out);
      return;
    }
    const unsigned first = cpu();
    if (cursor_.accept('-')) {
      set |= up_to(first);
      return;
    }
    const Repeat times = repetition();
    for (unsigned i = 0; i < times.count; ++i) set.add(shifted(first, times, i));
  }

  // What follows a resource or a place: ":count" or ":count:stride".
  Repeat repetition() {
    Repeat times;
    if (!cursor_.accept(':')) return times;
    times.count = positive("a count");
    if (!cursor_.accept(':')) return times;
    const bool negative = cursor_.accept('-');
    if (!negative) cursor_.accept('+');
    const std::size_t start = cursor_.position();
    const long size = static_cast<long>(cursor_.number(cpu_max, "a stride"));
    if (size == 0) {
      cursor_.go_to(start);
      cursor_.fail("a stride other than 0");
    }
    times.stride = negative ? -size : size;
    return times;
  }

  void repeat(const CpuSet& set, const Repeat& times) {
    const std::vector<unsigned> cpus = set.members();
    for (unsigned i = 0; i < times.count; ++i) {
      CpuSet copy;
      for (const unsigned cpu : cpus) copy.add(shifted(cpu, times, i));
      append(std::move(copy));
    }
  }

  void append(CpuSet set) {
    cpus_total_ += set.count();
    if (request_.places.size() == places_max || cpus_total_ > place_cpus_max) {
      cursor_.fail("no more than " + std::to_string(places_max) + " places with " +
                   std::to_string(place_cpus_max) + " CPUs over all");
    }
    request_.places.push_back(std::move(set));
  }

  void exclude(const CpuSet& set) {
    if (std::erase(request_.places, set) == 0) {
      cursor_.fail("'!' before a place that is in the list, not {" + set.text() + "}");
    }
  }

  unsigned shifted(unsigned cpu, const Repeat& times, unsigned i) {
    const long moved = static_cast<long>(cpu) + times.stride * static_cast<long>(i);
    if (moved < 0 || moved > static_cast<long>(cpu_max)) {
      cursor_.fail("a count and stride that stay within CPUs 0 to " + std::to_string(cpu_max));
    }
    return static_cast<unsigned>(moved);
  }

  // The rest of a range "first-last".
  CpuSet up_to(unsigned first) {
    const std::size_t start = cursor_.position();
    const unsigned last = cursor_.number(cpu_max, "the last CPU of the range");
    if (last < first) {
      cursor_.go_to(start);
      cursor_.fail("a CPU number not below " + std::to_string(first));
    }
    return CpuSet::range(first, last);
  }

  unsigned cpu() { return cursor_.number(cpu_max, "a CPU number"); }

  unsigned positive(std::string_view expected) {
    (void)cursor_.peek();
    const std::size_t start = cursor_.position();
    const unsigned value = cursor_.number(places_max, expected);
    if (value == 0) {
      cursor_.go_to(start);
      cursor_.fail(std::string(expected) + " of at least 1");
    }
    return value;
  }

  TextCursor cursor_;
  PlacesRequest request_{};
  unsigned cpus_total_ = 0;
};

}  // namespace

bool names_no_places(std::string_view text) {
  TextCursor cursor("places", text);
  return cursor.word() == "none" && cursor.at_end();
}

PlacesRequest parse_places(std::string_view text) { return PlacesParser(text).parse(); }

}  // namespace pinion::topology
