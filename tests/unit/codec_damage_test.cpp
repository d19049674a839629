// No damaged bytes do harm: they decode to some value, or are an EncodingError.
#include <doctest/doctest.h>
#include <pinion/codec.hpp>
#include <pinion/errors.hpp>

#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

#include "codec_helpers.hpp"

using namespace codec_test;

namespace {

using Everything =
    std::tuple<Person, std::vector<bool>, std::map<std::string, std::vector<Point>>,
               std::variant<int, std::string, Tree>, std::unordered_map<int, std::string>,
               std::vector<Flag>, std::u16string, Job, std::shared_ptr<Tree>, std::set<Colour>>;

Everything some_of_everything() {
  Everything all;
  std::get<0>(all) = {"Ada", {1, 2, 3}, Point{1, 2}, {"x", "yy"}, true};
  std::get<1>(all) = {true, false, true};
  std::get<2>(all) = {{"a", {{1, 2}, {3, 4}}}, {"b", {}}};
  std::get<3>(all) = Tree{3, {}, std::make_unique<Tree>()};
  std::get<4>(all) = {{1, "one"}, {2, "two"}};
  std::get<5>(all) = {{true, 1}};
  std::get<6>(all) = u"sixteen";
  std::get<7>(all) = {"job", twice};
  std::get<8>(all) = std::make_shared<Tree>();
  std::get<8>(all)->children.emplace_back();
  std::get<9>(all) = {Colour::red, Colour::green};
  return all;
}

/// Decodes, and looks at every byte of what came out by encoding it again.
bool accepts(const Bytes& bytes) {
  Reader reader(bytes.data(), bytes.data() + bytes.size(), &code_map);
  try {
    const auto value = pinion::decode<Everything>(reader);
    return !encoded(value).empty();
  } catch (const EncodingError&) {
    return false;
  }
}

constexpr std::uint32_t seed = 20240607;

}  // namespace

TEST_CASE("every truncation of an encoded value is an error") {
  const Bytes whole = encoded(some_of_everything());
  REQUIRE(accepts(whole));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(accepts({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}));
  }
}

TEST_CASE("mutated bytes decode or are an error, never more") {
  INFO("seed ", seed);
  std::mt19937 random(seed);
  const Bytes whole = encoded(some_of_everything());
  int accepted = 0;
  int refused_ = 0;
  for (int round = 0; round < 200'000; ++round) {
    Bytes bytes = whole;
    for (unsigned hits = 1 + random() % 4; hits != 0; --hits) {
      const auto where = random() % bytes.size();
      const unsigned range = random() % 2 ? 4 : 256;  // small numbers pass for counts and flags
      bytes[where] = std::byte(random() % range);
    }
    (accepts(bytes) ? accepted : refused_) += 1;
  }
  CHECK(accepted > 0);
  CHECK(refused_ > 0);
}

TEST_CASE("random bytes decode or are an error, never more") {
  INFO("seed ", seed);
  std::mt19937 random(seed);
  int refused_ = 0;
  for (int round = 0; round < 50'000; ++round) {
    Bytes bytes(random() % 200);
    const unsigned range = round % 2 ? 256 : 3;
    for (auto& byte : bytes) byte = std::byte(random() % range);
    refused_ += accepts(bytes) ? 0 : 1;
  }
  CHECK(refused_ > 0);
}
