// The text of places and CPU lists: what is read, what is refused, and in which words.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "lib/topology/places.hpp"
#include "support/seed.hpp"

namespace {

using pinion::topology::CpuSet;
using pinion::topology::Level;
using pinion::topology::parse_places;
using pinion::topology::PlacesRequest;

// "0-1|4": one place, "|", the next.
std::string shown(const PlacesRequest& request) {
  std::string text;
  for (const CpuSet& place : request.places) text += (text.empty() ? "" : "|") + place.text();
  return text;
}

std::string places(const char* text) { return shown(parse_places(text)); }

template <class Call>
std::string refusal(Call&& call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

std::string refused(const std::string& text) {
  return refusal([&] { (void)parse_places(text); });
}

std::string refused_list(const std::string& text) {
  return refusal([&] { (void)CpuSet::parse(text); });
}

}  // namespace

TEST_CASE("a CPU list is read and written as the kernel writes it") {
  CHECK(CpuSet::parse("0-7,16").text() == "0-7,16");
  CHECK(CpuSet::parse("16,0-3,2-7\n").text() == "0-7,16");
  CHECK(CpuSet::parse("").empty());
  CHECK(CpuSet::parse(" \n").text().empty());
  CHECK(CpuSet::parse("1023-1025,4096,8191").text() == "1023-1025,4096,8191");
  CHECK(CpuSet::parse("63-64").count() == 2);
}

TEST_CASE("a CPU list that cannot be read is refused with text, position and expectation") {
  CHECK(refused_list("0-7,x") ==
        "CPU list \"0-7,x\", position 5: expected a CPU number, found \"x\"");
  CHECK(refused_list("5-3") ==
        "CPU list \"5-3\", position 3: expected a CPU number not below 5, found \"3\"");
  CHECK(refused_list("0,") ==
        "CPU list \"0,\", position 3: expected a CPU number, found the end of the text");
  CHECK(refused_list("1 2") ==
        "CPU list \"1 2\", position 3: expected ',' or the end of the text, found \"2\"");
  CHECK(refused_list("99999999999999999999") ==
        "CPU list \"99999999999999999999\", position 1: expected a CPU number of at most 16383, "
        "found \"9\"");
}

TEST_CASE("sets of CPUs follow the algebra of sets, across words and beyond 1,024 CPUs") {
  const CpuSet a = CpuSet::parse("0-3,64-70,2000");
  const CpuSet b = CpuSet::parse("2-5,70-80");
  CHECK((a & b).text() == "2-3,70");
  CHECK((a | b).text() == "0-5,64-80,2000");
  CHECK((a - b).text() == "0-1,64-69,2000");
  CHECK((a - a).empty());
  CHECK((a - CpuSet{2000}) == CpuSet::parse("0-3,64-70"));
  CHECK(CpuSet{2, 3}.is_subset_of(a));
  CHECK_FALSE(a.is_subset_of(b));
  CHECK(a.intersects(b));
  CHECK_FALSE(CpuSet{1}.intersects(b));
  CHECK(CpuSet{}.is_subset_of(b));
  CHECK(a.contains(2000));
  CHECK_FALSE(a.contains(2001));
  CHECK(a.count() == 12);
  CpuSet one{2000};
  one.remove(2000);
  CHECK(one == CpuSet{});
  CHECK(CpuSet::from_words(a.words()) == a);
  CHECK_THROWS_AS(one.add(CpuSet::cpu_limit), std::out_of_range);
}

TEST_CASE("abstract names are read in any case, with and without a count") {
  CHECK(parse_places("threads").level == Level::threads);
  CHECK(parse_places("cores").level == Level::cores);
  CHECK(parse_places("ll_caches").level == Level::ll_caches);
  CHECK(parse_places("numa_domains").level == Level::numa_domains);
  CHECK(parse_places(" Sockets ").level == Level::sockets);
  CHECK_FALSE(parse_places("cores").count.has_value());
  CHECK(parse_places("cores(4)").count == 4U);
  CHECK(parse_places("cores ( 4 )").count == 4U);
}

TEST_CASE("a CPU list is one place per CPU") {
  CHECK(places("0-3") == "0|1|2|3");
  CHECK(places("0-2,16") == "0|1|2|16");
  CHECK(places("5") == "5");
}

TEST_CASE("braces hold CPUs, intervals, strides, ranges and exclusions") {
  CHECK(places("{0,1,2}") == "0-2");
  CHECK(places("{0:4}") == "0-3");
  CHECK(places("{0:4:2}") == "0,2,4,6");
  CHECK(places("{6:4:-2}") == "0,2,4,6");
  CHECK(places("{0:8,!3,!5}") == "0-2,4,6-7");
  CHECK(places("{0-3,8}") == "0-3,8");
  CHECK(places("{0:2},{2:2} , {4:2}") == "0-1|2-3|4-5");
}

TEST_CASE("a place is repeated with a stride in either direction") {
  CHECK(places("{0:4}:4:4") == "0-3|4-7|8-11|12-15");
  CHECK(places("{0:4}:8:4") == "0-3|4-7|8-11|12-15|16-19|20-23|24-27|28-31");
  CHECK(places("{4,5}:3:-2") == "4-5|2-3|0-1");
  CHECK(places("{0}:3") == "0|1|2");
  CHECK(places("0:4:2") == "0|2|4|6");
  CHECK(places("{0:2}:2:+2,7") == "0-1|2-3|7");
}

TEST_CASE("an excluded place leaves the list") {
  CHECK(places("{0:2}:4:2,!{2:2}") == "0-1|4-5|6-7");
  CHECK(places("0-3,!2") == "0|1|3");
  CHECK(refused("0-3,!9").find("'!' before a place that is in the list, not {9}") !=
        std::string::npos);
  CHECK(refused("0,!0").find("a place that is not excluded") != std::string::npos);
}

TEST_CASE("text that cannot be read is refused with text, position and expectation") {
  CHECK(refused("") ==
        "places \"\", position 1: expected a name, a CPU number or '{', found the end of the text");
  CHECK(refused("{0,a}") == "places \"{0,a}\", position 4: expected a CPU number, found \"a\"");
  CHECK(refused("{0,1") ==
        "places \"{0,1\", position 5: expected ',' or '}', found the end of the text");
  CHECK(refused("{0:0}") ==
        "places \"{0:0}\", position 4: expected a count of at least 1, found \"0\"");
  CHECK(refused("{0}:2:0") ==
        "places \"{0}:2:0\", position 7: expected a stride other than 0, found \"0\"");
  CHECK(refused("core") ==
        "places \"core\", position 1: expected threads, cores, ll_caches, numa_domains, sockets, "
        "a CPU number or '{', found \"c\"");
  CHECK(refused("cores(0)").find("position 7: expected the number of places of at least 1") !=
        std::string::npos);
  CHECK(refused("cores(2").find("expected ')'") != std::string::npos);
  CHECK(refused("cores,{0}").find("expected the end of the text, found \",\"") !=
        std::string::npos);
  CHECK(refused("{}").find("expected a CPU number, found \"}\"") != std::string::npos);
  CHECK(refused("{1,!1}").find("a place with at least one CPU") != std::string::npos);
  CHECK(refused("{0:4,!4}").find("'!' before a CPU that is in the place, not 4") !=
        std::string::npos);
  CHECK(refused("{!0,0:4}").find("'!' before a CPU that is in the place, not 0") !=
        std::string::npos);
  CHECK(refused("none").find("expected threads, cores") != std::string::npos);
  CHECK(refused("{0}:3:-1").find("stay within CPUs 0 to 16383") != std::string::npos);
  CHECK(refused("{0};{1}").find("expected ',' or the end, found \";\"") != std::string::npos);
  CHECK(refused(std::string("0\0,1", 4)).find("\"0\\x00,1\"") != std::string::npos);
}

TEST_CASE("what a text may ask for is limited") {
  CHECK(refused("{0:16384}:16384").find("stay within CPUs") != std::string::npos);
  CHECK(refused("{0:8000}:8000").find("no more than 16384 places with 1048576 CPUs") !=
        std::string::npos);
  CHECK(parse_places("{0}:16384").places.size() == 16384);
  CHECK(refused("{0}:16384,0").find("no more than 16384 places") != std::string::npos);
  CHECK(refused(std::string(100'000, '7')).size() < 500);
}

TEST_CASE("random text is read or refused, never more") {
  const auto seed = static_cast<unsigned>(checks::seed());
  CAPTURE(seed);
  std::mt19937 random(seed);
  const auto below = [&](std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random);
  };
  const std::vector<std::string> seeds = {
      "threads",    "cores(4)", "ll_caches",     "sockets(2)",  "{0:4}:8:4",
      "{0,1}:3:-2", "0-7,16",   "{0:8,!3},!{2}", "{0-3}:2:4,9", "numa_domains"};
  const std::string alphabet = "0123456789{}:,-!()+ \t\nacdehlmnorst_xX~\\\"";
  unsigned accepted = 0;
  for (int i = 0; i < 100'000; ++i) {
    std::string text = seeds[below(seeds.size())];
    for (std::size_t changes = below(5); changes > 0; --changes) {
      const std::size_t at = below(text.size() + 1);
      const char c = below(20) == 0 ? static_cast<char>(below(256)) : alphabet[below(40)];
      switch (below(4)) {
        case 0:
          text.insert(at, 1, c);
          break;
        case 1:
          text.erase(at, 1 + below(3));
          break;
        case 2:
          text.insert(at, seeds[below(seeds.size())]);
          break;
        default:
          if (at < text.size()) text[at] = c;
      }
    }
    CAPTURE(text);
    try {
      const PlacesRequest request = parse_places(text);
      ++accepted;
      REQUIRE(request.level.has_value() == request.places.empty());
      REQUIRE(std::none_of(request.places.begin(), request.places.end(),
                           [](const CpuSet& place) { return place.empty(); }));
    } catch (const std::invalid_argument& error) {
      REQUIRE(std::string(error.what()).find(", position ") != std::string::npos);
    }
    try {
      const CpuSet set = CpuSet::parse(text);
      REQUIRE(CpuSet::parse(set.text()) == set);
    } catch (const std::invalid_argument&) {
      continue;
    }
  }
  CHECK(accepted > 10'000);
  CHECK(accepted < 100'000);
}
