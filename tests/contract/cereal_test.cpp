// Classes that cereal serialises, as arguments and results.
#include <doctest/doctest.h>

#include <cereal/types/map.hpp>
#include <cereal/types/memory.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/vector.hpp>

#include <map>
#include <memory>
#include <pinion/cereal.hpp>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/contract/checks.hpp"

using namespace checks;

namespace {

/// Private members, which pinion cannot see.
class Mesh {
 public:
  Mesh() = default;
  Mesh(std::string name, std::vector<double> points)
      : name_(std::move(name)), points_(std::move(points)) {
    index_[name_] = {1, 2, 3};
  }
  bool operator==(const Mesh&) const = default;
  [[nodiscard]] std::size_t size() const { return points_.size(); }

 private:
  friend class cereal::access;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(name_), points_, index_, closed_);
  }

  std::string name_;
  std::vector<double> points_;
  std::map<std::string, std::vector<int>> index_;
  bool closed_ = true;
};

/// Save and load apart, and a pointer to one like it.
class Node {
 public:
  Node() = default;
  explicit Node(int depth) : value_(depth) {
    if (depth > 0) next_ = std::make_shared<Node>(depth - 1);
  }
  template <class Archive>
  void save(Archive& archive) const {
    archive(value_, next_);
  }
  template <class Archive>
  void load(Archive& archive) {
    archive(value_, next_);
  }
  [[nodiscard]] int length() const { return next_ ? 1 + next_->length() : 1; }

 private:
  int value_ = 0;
  std::shared_ptr<Node> next_;
};

/// Trivially copyable, and not its bytes.
struct Doubled {
  int value = 0;
  template <class Archive>
  int save_minimal(const Archive&) const {
    return 2 * value;
  }
  template <class Archive>
  void load_minimal(const Archive&, const int& read) {
    value = read;
  }
};

/// Functions beside the class.
struct Beside {
  std::string text;
  explicit Beside(std::string t = "") : text(std::move(t)) {}
};
template <class Archive>
void serialize(Archive& archive, Beside& b) {
  archive(b.text);
}

Mesh mesh() { return {"wing", {1, 2, 3, 4}}; }

template <class T>
std::vector<std::byte> encoded(const T& value) {
  std::vector<std::byte> bytes(pinion::encoded_size(value));
  pinion::Writer writer(bytes.data(), bytes.data() + bytes.size());
  pinion::encode(writer, value);
  REQUIRE(writer.left() == 0);
  return bytes;
}

/// Whether the bytes decode. Anything but a value or an error of the standard ends the test.
template <class T>
bool decodes(const std::vector<std::byte>& bytes) {
  pinion::Reader reader(bytes.data(), bytes.data() + bytes.size());
  try {
    static_cast<void>(pinion::decode<T>(reader));
    return true;
  } catch (const pinion::EncodingError&) {
    return false;
  }
}

}  // namespace

TEST_CASE("classes that cereal serialises are arguments and results, alone and in containers") {
  CheckedPool pool(2);
  CHECK(pool.apply([](Mesh m) { return m; }, mesh()) == mesh());
  CHECK(pool.apply([](const Mesh& m) { return m.size(); }, mesh()) == 4);
  CHECK(pool.map([](Mesh m) { return m; }, std::vector(20, mesh())) == std::vector(20, mesh()));
  const auto paired = pool.apply(
      [](std::map<int, Mesh> all) {
        return std::pair{all.size(), all[2]};
      },
      std::map<int, Mesh>{{1, Mesh()}, {2, mesh()}});
  CHECK(paired.first == 2);
  CHECK(paired.second == mesh());
  CHECK(pool.apply([](const Node& n) { return n.length(); }, Node(20)) == 21);
  CHECK(pool.apply([](Doubled d) { return d; }, Doubled{3}).value == 12);
  CHECK(pool.apply([](Beside b) { return b; }, Beside("x")).text == "x");
  std::vector<double> large(1 << 20, 0.5);
  CHECK(pool.apply([](Mesh m) { return m; }, Mesh("large", large)) == Mesh("large", large));
}

TEST_CASE("no damaged bytes do harm") {
  const auto whole = encoded(mesh());
  REQUIRE(decodes<Mesh>(whole));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(decodes<Mesh>({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}));
  }
  auto random = seeded();
  int refused = 0;
  const auto list = encoded(Node(5));
  for (int round = 0; round < 50'000; ++round) {
    auto bytes = round % 2 == 0 ? whole : list;
    for (unsigned hits = 1 + random() % 4; hits != 0; --hits) {
      bytes[random() % bytes.size()] = std::byte(random() % (random() % 2 == 0 ? 4 : 256));
    }
    refused += round % 2 == 0 ? !decodes<Mesh>(bytes) : !decodes<Node>(bytes);
  }
  CHECK(refused > 0);
}

TEST_CASE("a forged size takes no memory, and a forged depth no stack") {
  std::vector<std::byte> forged(64, std::byte{0xff});
  CHECK_FALSE(decodes<Mesh>(forged));
  CHECK_THROWS_AS(pinion::encoded_size(Node(10'000)), pinion::EncodingError);
  // A pointer to a new object, whose value follows: an object in an object in an object.
  std::vector<std::byte> deep;
  for (std::uint32_t i = 1; i < 200'000; ++i) {
    const std::uint32_t words[] = {0, 0x8000'0000U | i};
    const auto* at = reinterpret_cast<const std::byte*>(words);
    deep.insert(deep.end(), at, at + sizeof words);
  }
  CHECK_FALSE(decodes<Node>(deep));
}
