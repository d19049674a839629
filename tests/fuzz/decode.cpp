// Decoding arbitrary bytes: the first says as which type, the others are what is decoded. They make
// a value or are an EncodingError; what was decoded encodes, and that decodes to the same bytes
// again. That it takes no more memory than a small multiple of the bytes, the fuzzer's limit holds.

#include <pinion/pinion.hpp>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "fuzz/program.hpp"

namespace fuzz {

namespace {

using Bytes = std::vector<std::byte>;

enum class Colour : std::uint8_t { red, green };
struct Point {
  double x, y;
};
struct Flagged {
  bool on;
  int level;
};
struct Tree {
  int value;
  std::vector<Tree> children;
  std::unique_ptr<Tree> twin;
};
struct Person {
  std::string name;
  std::optional<Point> home;
  std::array<std::string, 2> aliases;
  std::vector<Flagged> flags;
  Colour colour;
};
struct Job {
  std::string name;
  int (*run)(int);
  pinion::SharedArray<int> data;
};

using Types = std::tuple<
    std::string, std::u16string, std::vector<int>, std::vector<bool>, std::deque<std::string>,
    std::list<std::vector<Point>>, std::map<std::string, std::vector<Person>>,
    std::unordered_map<int, std::set<std::string>>, std::multimap<int, Tree>, Tree, Person, Job,
    std::variant<int, std::string, Tree, std::vector<Job>>, std::shared_ptr<std::vector<Person>>,
    std::optional<std::tuple<bool, Colour, std::string>>, std::array<std::vector<Flagged>, 3>,
    std::unordered_set<std::string>, std::vector<std::tuple<>>, std::error_code,
    std::pair<std::unique_ptr<Tree>, std::vector<std::optional<std::u32string>>>>;
constexpr std::size_t types = std::tuple_size_v<Types>;

int twice(int x) { return 2 * x; }

/// One function, and arrays of one size.
struct Names final : pinion::detail::CodeMap {
  std::uint64_t to_token(const void*) override { return 77; }
  void* from_token(std::uint64_t token) override {
    if (token != 77) throw pinion::EncodingError("a token that names nothing");
    return reinterpret_cast<void*>(&twice);
  }
  pinion::detail::ArrayHandle array(const pinion::detail::ArrayName& name) override {
    if (name.bytes > sizeof memory) throw pinion::EncodingError("an array that is not there");
    auto block = std::make_shared<pinion::detail::ArrayBlock>();
    block->data = reinterpret_cast<std::byte*>(memory);
    block->name = name;
    return block;
  }
  int memory[4] = {};
};
Names names;

template <class T>
Bytes encoded(const T& value) {
  Bytes bytes(pinion::encoded_size(value));
  pinion::Writer writer(bytes.data(), bytes.data() + bytes.size(), &names);
  pinion::encode(writer, value);
  if (writer.left() != 0) std::abort();
  return bytes;
}

template <class T>
void try_bytes(const std::byte* begin, const std::byte* end) {
  pinion::Reader reader(begin, end, &names);
  Bytes first;
  try {
    first = encoded(pinion::decode<T>(reader));
  } catch (const pinion::EncodingError&) {
    return;
  }
  // Sets and maps have an order of their own, and duplicates are gone: from here on nothing changes
  // but what is hashed.
  pinion::Reader again(first.data(), first.data() + first.size(), &names);
  const Bytes second = encoded(pinion::decode<T>(again));
  if (again.left() != 0 || second.size() != first.size()) {
    std::fputs("what was decoded does not decode again\n", stderr);
    std::abort();
  }
}

template <std::size_t... i>
void with_type(std::size_t type, const std::byte* begin, const std::byte* end,
               std::index_sequence<i...>) {
  static_cast<void>(
      ((type == i ? (try_bytes<std::tuple_element_t<i, Types>>(begin, end), true) : false) || ...));
}

template <std::size_t i>
void add_seed(std::vector<std::vector<std::uint8_t>>& seeds,
              const std::tuple_element_t<i, Types>& value) {
  const Bytes bytes = encoded(value);
  auto& seed = seeds.emplace_back(1 + bytes.size());
  seed[0] = static_cast<std::uint8_t>(i);
  if (!bytes.empty()) std::memcpy(seed.data() + 1, bytes.data(), bytes.size());
}

Tree tree(int depth) {
  Tree t{depth, {}, nullptr};
  if (depth == 0) return t;
  t.children.push_back(tree(depth - 1));
  t.twin = std::make_unique<Tree>(tree(depth - 1));
  return t;
}
Person person() { return {"Ada", Point{1, 2}, {"x", ""}, {{true, 1}, {false, 2}}, Colour::green}; }

}  // namespace

void run_program(std::span<const std::uint8_t> program) {
  if (program.empty()) return;
  // Of exactly this size, so that a read beyond it is seen; at an odd address every other time.
  Bytes bytes(program.size());
  std::memcpy(bytes.data(), program.data(), program.size());
  with_type(program[0] % types, bytes.data() + 1, bytes.data() + bytes.size(),
            std::make_index_sequence<types>());
}

std::vector<std::vector<std::uint8_t>> seed_programs() {
  std::vector<std::vector<std::uint8_t>> seeds;
  add_seed<0>(seeds, "text");
  add_seed<1>(seeds, u"text");
  add_seed<2>(seeds, {1, 2, 3});
  add_seed<3>(seeds, {true, false, true});
  add_seed<4>(seeds, {"a", "", "ccc"});
  add_seed<5>(seeds, {{{1, 2}}, {}, {{3, 4}, {5, 6}}});
  std::map<std::string, std::vector<Person>> people;
  people["all"].push_back(person());
  people["none"];
  add_seed<6>(seeds, people);
  add_seed<7>(seeds, {{1, {"one", "eins"}}, {2, {}}});
  std::multimap<int, Tree> trees;
  trees.emplace(1, tree(1));
  trees.emplace(1, tree(2));
  add_seed<8>(seeds, trees);
  add_seed<9>(seeds, tree(3));
  add_seed<10>(seeds, person());
  add_seed<11>(seeds, {"job", &twice, {}});
  add_seed<12>(seeds, std::vector<Job>{{"a", nullptr, {}}, {"b", &twice, {}}});
  add_seed<13>(seeds, std::make_shared<std::vector<Person>>(2, person()));
  add_seed<14>(seeds, std::tuple(true, Colour::red, std::string("x")));
  add_seed<15>(seeds, {std::vector<Flagged>{{true, 7}}, {}, {}});
  add_seed<16>(seeds, {"one", "two"});
  add_seed<17>(seeds, std::vector<std::tuple<>>(3));
  add_seed<18>(seeds, std::make_error_code(std::errc::io_error));
  std::tuple_element_t<19, Types> last;
  last.first = std::make_unique<Tree>(tree(1));
  last.second = {U"x", std::nullopt};
  add_seed<19>(seeds, last);
  return seeds;
}

}  // namespace fuzz
