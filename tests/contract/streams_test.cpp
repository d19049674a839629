// Streams: imap, imap_unordered, istarmap. Edge cases 10 to 19 are named where they are tested.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <list>
#include <ranges>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <tuple>

#include "tests/contract/checks.hpp"

/// Travels unless it is 3.
struct Picky {
  int value = 0;
  Picky(int v) : value(v) {}  // NOLINT: implicit on purpose
  Picky(const Picky& other) : value(other.value) {}
};
template <>
struct pinion::codec<Picky> {
  static std::size_t size(const Picky&) { return sizeof(int); }
  template <class Writer>
  static void encode(Writer& writer, const Picky& picky) {
    if (picky.value == 3) throw std::length_error("not 3");
    writer.value(picky.value);
  }
  template <class Reader>
  static Picky decode(Reader& reader) {
    return {reader.template value<int>()};
  }
};

using namespace checks;
using pinion::PoolOptions;
using pinion::ResultStream;
using pinion::StreamOptions;

namespace {

int square(int x) { return x * x; }
std::string name(const std::string& x) { return "<" + x + ">"; }
int odd_fails(int x) {
  if (x % 2 == 1) throw std::out_of_range("odd " + std::to_string(x));
  return x;
}
int slow_first(int x) {
  std::this_thread::sleep_for(x == 0 ? 1500ms : 0ms);
  return x;
}
int slow(int ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
  return ms;
}
pinion::Task<int> nap(int ms) {
  co_await pinion::sleep_for(std::chrono::milliseconds(ms));
  co_return ms;
}
std::string repeat(const std::string& text, unsigned times) {
  std::string out;
  for (unsigned i = 0; i < times; ++i) out += text;
  return out;
}
std::uint64_t own_index(int) { return pinion::this_task::index(); }
void nothing(int) {}
int value_of(const Picky& picky) { return picky.value; }
int die_at_seven(int x) {
  if (x == 7) std::abort();
  return x;
}

template <class R>
std::vector<R> all(ResultStream<R> stream) {
  std::vector<R> values;
  for (auto& value : stream) values.push_back(std::move(value));
  return values;
}

}  // namespace

TEST_CASE("imap gives the results in the range's order, whatever the chunk and the window") {
  CheckedPool pool(2);
  std::vector<int> expected;
  for (int i = 0; i < 1000; ++i) expected.push_back(i * i);
  for (const int chunk : {1, 7, 100, 5000}) {
    for (const std::size_t window : std::initializer_list<std::size_t>{0, 1, 3, 50, 100'000}) {
      CAPTURE(chunk);
      CAPTURE(window);
      CHECK(all(pool.imap(square, numbers(1000), {.chunksize = chunk, .window = window})) ==
            expected);
    }
  }
  CHECK(all(pool.imap(square, numbers(1000), {.chunksize = {}})) == expected);
  CHECK(all(pool.imap(name, std::vector<std::string>{"a", "", "ccc"}, {.chunksize = 2})) ==
        std::vector<std::string>{"<a>", "<>", "<ccc>"});
  CHECK(all(pool.imap(square, std::vector<int>{})).empty());
}

TEST_CASE("imap_unordered gives each once, with its place in the range (edge case 14)") {
  CheckedPool pool(2);
  for (const int chunk : {1, 16}) {
    auto stream = pool.imap_unordered(square, std::views::iota(0, 2000), {.chunksize = chunk});
    std::set<std::uint64_t> places;
    while (auto item = stream.next_item()) {
      CHECK(item->value == square(static_cast<int>(item->index)));
      CHECK(places.insert(item->index).second);
    }
    CHECK(places.size() == 2000);
    CHECK_FALSE(stream.next().has_value());
  }
  // What is ready comes first.
  auto stream = pool.imap_unordered(slow_first, numbers(50));
  CHECK(stream.next_item()->index != 0);
}

TEST_CASE("istarmap, coroutines, void, and lambdas that carry something") {
  CheckedPool pool(PoolOptions{.processes = 2, .child_concurrency = 32});
  const std::vector<std::pair<const char*, int>> items{{"ab", 2}, {"c", 3}};
  CHECK(all(pool.istarmap(repeat, items)) == std::vector<std::string>{"abab", "ccc"});

  const auto begin = Clock::now();
  auto naps = pool.imap(nap, std::vector<int>(64, 30));
  int sum = 0;
  for (const int ms : naps) sum += ms;
  CHECK(sum == 64 * 30);
  CHECK(Clock::now() - begin < 1s);  // one after the other they take twice that

  auto voids = pool.imap(nothing, numbers(10));
  int count = 0;
  while (voids.next()) ++count;
  CHECK(count == 10);

  int factor = 3;  // not a constant, so that it is captured
  CHECK(all(pool.imap([factor](int x) { return factor * x; }, numbers(4))) ==
        std::vector<int>{0, 3, 6, 9});
  CHECK(all(pool.imap(own_index, numbers(40), {.chunksize = 7})).back() == 39);
}

TEST_CASE("an item's error is thrown at its turn, and the stream goes on (edge cases 10, 11)") {
  CheckedPool pool(2);
  for (const int chunk : {1, 8}) {
    CAPTURE(chunk);
    auto stream = pool.imap(odd_fails, numbers(100), {.chunksize = chunk});
    for (int i = 0; i < 100; ++i) {
      if (i % 2 == 0) {
        CHECK(stream.next() == i);
      } else {
        try {
          stream.next();
          FAIL("no error at " << i);
        } catch (const std::out_of_range& error) {
          CHECK(std::string(error.what()).find("odd " + std::to_string(i)) != std::string::npos);
        }
      }
    }
    CHECK_FALSE(stream.next().has_value());
  }
}

TEST_CASE("a worker that dies costs a stream one item") {
  if (left_out("a task ends its process")) return;
  CheckedPool pool(2);
  auto stream = pool.imap_unordered(die_at_seven, numbers(60), {.chunksize = 5});
  std::set<int> values;
  int lost = 0;
  for (;;) {
    try {
      const auto value = stream.next();
      if (!value) break;
      values.insert(*value);
    } catch (const pinion::WorkerLost&) {
      ++lost;
    }
  }
  CHECK(lost == 1);
  CHECK(values.size() == 59);
}

TEST_CASE("a slow head: the others go on as far as the window, then wait (edge case 13)") {
  CheckedPool pool(2);
  std::atomic<int> read{0};
  auto counting = std::views::iota(0) | std::views::transform([&read](int i) {
                    ++read;
                    return i;
                  });
  auto stream = pool.imap(slow_first, counting, {.window = 100});
  CHECK_THROWS_AS(stream.next(500ms), pinion::WaitTimeout);
  CHECK(pool.stats().completed == 99);
  CHECK(read == 100);
  for (int i = 0; i < 500; ++i) CHECK(stream.next() == i);
  CHECK(read <= 600);
}

TEST_CASE("next with a limit may be called again (edge case 15)") {
  CheckedPool pool(1);
  auto stream = pool.imap(slow, std::vector<int>{100, 1});
  CHECK_THROWS_AS(stream.next(1ms), pinion::WaitTimeout);
  CHECK_THROWS_AS(stream.next(0ms), pinion::WaitTimeout);
  CHECK(stream.next(10s) == 100);
  CHECK(stream.next(10s) == 1);
  CHECK_FALSE(stream.next(0ms).has_value());
}

TEST_CASE("several consumers: each item once, and all of them see the end (edge case 15)") {
  CheckedPool pool(2);
  for (const bool ordered : {true, false}) {
    CAPTURE(ordered);
    const StreamOptions options{.chunksize = 3, .window = 30};
    auto stream = ordered ? pool.imap(square, std::views::iota(0, 3000), options)
                          : pool.imap_unordered(square, std::views::iota(0, 3000), options);
    std::vector<std::vector<std::uint64_t>> places(4);
    std::vector<std::thread> threads;
    for (auto& mine : places) {
      threads.emplace_back([&stream, &mine] {
        while (auto item = stream.next_item()) mine.push_back(item->index);
      });
    }
    for (auto& thread : threads) thread.join();
    std::set<std::uint64_t> together;
    std::size_t count = 0;
    for (const auto& mine : places) {
      if (ordered) CHECK(std::is_sorted(mine.begin(), mine.end()));
      together.insert(mine.begin(), mine.end());
      count += mine.size();
    }
    CHECK(together.size() == 3000);
    CHECK(count == 3000);
  }
}

TEST_CASE("a stream that is dropped half-way ends its work and its range (edge case 16)") {
  CheckedPool pool(2);
  const auto range = std::make_shared<int>(0);
  {
    auto stream = pool.imap(
        slow, std::views::iota(0) | std::views::transform([range](int) { return *range + 1; }));
    CHECK(stream.next() == 1);
    CHECK(range.use_count() > 1);
  }
  CHECK(range.use_count() == 1);
  CHECK(eventually([&] { return pool.stats().pending == 0; }));
  CHECK(pool.apply(square, 5) == 25);
}

TEST_CASE("what the range throws comes after the items before it (edge case 17)") {
  CheckedPool pool(2);
  auto failing = std::views::iota(0, 50) | std::views::transform([](int i) {
                   if (i == 20) throw std::domain_error("no more");
                   return i;
                 });
  auto stream = pool.imap(square, failing, {.chunksize = 8});
  for (int i = 0; i < 20; ++i) CHECK(stream.next() == i * i);
  CHECK_THROWS_AS(stream.next(), std::domain_error);
  CHECK_FALSE(stream.next().has_value());

  auto at_once = std::views::iota(0, 5) | std::views::transform([](int i) -> int {
                   throw std::domain_error(std::to_string(i));
                 });
  auto nothing_at_all = pool.imap(square, at_once);
  CHECK_THROWS_AS(nothing_at_all.next(), std::domain_error);
  CHECK_FALSE(nothing_at_all.next().has_value());
}

TEST_CASE("an endless range is read no further than the window (edge case 18)") {
  CheckedPool pool(2);
  int read = 0;
  auto endless = std::views::iota(0) | std::views::transform([&read](int i) {
                   ++read;
                   return i;
                 });
  auto stream = pool.imap(square, endless, {.window = 10});
  CHECK(read == 10);
  for (int i = 0; i < 1000; ++i) {
    REQUIRE(stream.next() == square(i));
    CHECK(read <= i + 12);
  }
}

TEST_CASE("the range may go once it is given, and may be read once only (edge case 19)") {
  CheckedPool pool(1);
  auto container = std::list<std::string>{"a", "b"};
  auto copied = pool.imap(name, container, {.window = 1});
  container.clear();
  CHECK(all(std::move(copied)) == std::vector<std::string>{"<a>", "<b>"});
  std::istringstream text("1 2 3");
  CHECK(all(pool.imap(square, std::views::istream<int>(text))) == std::vector<int>{1, 4, 9});
}

TEST_CASE("after close a stream still reads its range, until join") {
  CheckedPool pool(2);
  auto stream = pool.imap(square, std::views::iota(0, 300), {.window = 10});
  auto endless = pool.imap(square, std::views::iota(0), {.window = 10});
  pool.close();
  for (int i = 0; i < 300; ++i) REQUIRE(stream.next() == square(i));
  CHECK_FALSE(stream.next().has_value());
  for (int i = 0; i < 50; ++i) REQUIRE(endless.next() == square(i));
  pool.join();
  int more = 50;
  bool refused = false;
  while (!refused) {
    try {
      const auto value = endless.next();
      CHECK(value == square(more++));
    } catch (const pinion::PoolClosed&) {
      refused = true;
    }
  }
  CHECK(more <= 62);
  CHECK_FALSE(endless.next().has_value());
  CHECK_THROWS_AS(pool.imap(square, numbers(3)), pinion::PoolClosed);
}

TEST_CASE("terminate ends every item that was taken, and the stream (edge case 43)") {
  CheckedPool pool(2);
  auto stream = pool.imap(slow, std::vector<int>(1000, 20), {.window = 30});
  CHECK(stream.next() == 20);
  pool.terminate();
  pool.join();
  int values = 0;
  int terminated = 0;
  int refused = 0;
  for (bool more = true; more;) {
    try {
      more = stream.next().has_value();
      if (more) ++values;
    } catch (const pinion::PoolTerminated&) {
      ++terminated;
    } catch (const pinion::PoolClosed&) {
      ++refused;
    }
  }
  CHECK(refused == 1);
  CHECK(terminated > 0);
  CHECK(values + terminated <= 40);
  CHECK_FALSE(stream.next().has_value());
}

TEST_CASE("a stream outlives its pool, and empty streams say what they are") {
  ResultStream<int> stream;
  CHECK_THROWS_AS(stream.next(), std::logic_error);
  {
    CheckedPool pool(1);
    stream = pool.imap(square, numbers(5));
  }
  for (int i = 0; i < 5; ++i) CHECK(stream.next() == i * i);
  CHECK_FALSE(stream.next().has_value());
  const auto moved = std::move(stream);
  CHECK_THROWS_AS(stream.next(), std::logic_error);  // NOLINT: on purpose
}

TEST_CASE("several streams, maps and calls share a pool with a small limit of pending items") {
  CheckedPool pool(PoolOptions{.processes = 2, .max_pending = 20});
  auto one = pool.imap(square, std::views::iota(0, 400), {.window = 15});
  auto other = pool.imap_unordered(square, std::views::iota(0, 400), {.window = 15});
  int sum = 0;
  for (int i = 0; i < 400; ++i) {
    CHECK(one.next() == square(i));
    CHECK(other.next().has_value());
    if (i % 40 == 0) sum += pool.apply(square, 2);
  }
  CHECK(sum == 40);
}

TEST_CASE("an item that cannot be encoded ends with that, at its turn") {
  CheckedPool pool(1);
  for (const int chunk : {1, 2, 5}) {
    std::vector<Picky> items;
    for (int i = 0; i < 5; ++i) items.push_back({i});
    auto stream = pool.imap(value_of, items, {.chunksize = chunk});
    for (int i = 0; i < 5; ++i) {
      if (i == 3) {
        CHECK_THROWS_AS(stream.next(), std::length_error);
      } else {
        CHECK(stream.next() == i);
      }
    }
    CHECK_FALSE(stream.next().has_value());
  }
}
