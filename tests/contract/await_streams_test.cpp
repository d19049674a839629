// co_await of the items of a stream, in the loop of a thread of the caller's.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <ranges>
#include <stdexcept>

#include "tests/contract/checks.hpp"

using namespace checks;
using pinion::ResultStream;
using pinion::StreamOptions;
using pinion::Task;

namespace {

int square(int x) { return x * x; }
void nothing(int) {}
int slow_square(int x) {
  std::this_thread::sleep_for(std::chrono::milliseconds(x % 3));
  return x * x;
}
int fail_at_three(int x) {
  if (x == 3) throw std::out_of_range("three");
  return x;
}
int slow(int ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
  return ms;
}

Task<std::vector<int>> take_all(ResultStream<int>& stream) {
  std::vector<int> values;
  while (const auto value = co_await stream.next_async()) values.push_back(*value);
  co_return values;
}

std::vector<int> squares(int n) {
  std::vector<int> values = numbers(n);
  for (int& value : values) value *= value;
  return values;
}

}  // namespace

TEST_CASE("a stream that is awaited gives its items in order, then nothing") {
  CheckedPool pool(2);
  for (const std::size_t window : {std::size_t{0}, std::size_t{1}, std::size_t{7}}) {
    auto stream = pool.imap(slow_square, numbers(60), StreamOptions{.window = window});
    CHECK(pinion::run(take_all(stream)) == squares(60));
    CHECK(pinion::run(take_all(stream)).empty());
    auto unordered = pool.imap_unordered(slow_square, numbers(60), StreamOptions{.window = window});
    auto values = pinion::run(take_all(unordered));
    std::sort(values.begin(), values.end());
    CHECK(values == squares(60));
  }
  auto empty = pool.imap(square, std::vector<int>{});
  CHECK(pinion::run(take_all(empty)).empty());
}

TEST_CASE("items with their places, items of nothing, and an endless range") {
  CheckedPool pool(2);
  auto all = [](pinion::Pool& p) -> Task<> {
    auto unordered = p.imap_unordered(slow_square, numbers(30));
    int right = 0;
    while (const auto item = co_await unordered.next_item_async()) {
      right += item->value == square(static_cast<int>(item->index)) ? 1 : 0;
    }
    CHECK(right == 30);

    auto empty = p.imap(nothing, numbers(5));
    int count = 0;
    for (;;) {
      const bool more = co_await empty.next_async();
      if (!more) break;
      ++count;
    }
    CHECK(count == 5);

    auto endless = p.imap(square, std::views::iota(0));
    for (int i = 0; i < 500; ++i) {
      const auto value = co_await endless.next_async();
      REQUIRE(value == i * i);
    }
  };
  pinion::run(all(pool));
}

TEST_CASE("an item's error is thrown at its turn, and the stream goes on") {
  CheckedPool pool(2);
  auto all = [](pinion::Pool& p) -> Task<std::vector<int>> {
    auto stream = p.imap(fail_at_three, numbers(6));
    std::vector<int> values;
    for (;;) {
      try {
        const auto value = co_await stream.next_async();
        if (!value) break;
        values.push_back(*value);
      } catch (const std::out_of_range&) {
        values.push_back(-1);
      }
    }
    co_return values;
  };
  CHECK(pinion::run(all(pool)) == std::vector<int>{0, 1, 2, -1, 4, 5});
}

TEST_CASE("several coroutines and a thread share a stream: each item goes to one of them") {
  CheckedPool pool(2);
  auto stream = pool.imap(slow_square, numbers(200), StreamOptions{.window = 8});
  auto all = [](ResultStream<int>& from) -> Task<std::vector<int>> {
    std::vector<Task<std::vector<int>>> tasks;
    for (int i = 0; i < 5; ++i) tasks.push_back(take_all(from));
    const auto parts = co_await pinion::when_all(std::move(tasks));
    std::vector<int> values;
    for (const auto& part : parts) values.insert(values.end(), part.begin(), part.end());
    co_return values;
  };
  std::vector<int> of_thread;
  std::thread thread([&] {
    while (const auto value = stream.next()) of_thread.push_back(*value);
  });
  std::vector<int> values = pinion::run(all(stream));
  thread.join();
  values.insert(values.end(), of_thread.begin(), of_thread.end());
  std::sort(values.begin(), values.end());
  CHECK(values == squares(200));
}

TEST_CASE("two pools' streams in one loop") {
  CheckedPool pool(1);
  CheckedPool other(1);
  auto one = pool.imap(slow_square, numbers(50));
  auto two = other.imap(square, numbers(400), StreamOptions{.window = 4});
  auto all = [](ResultStream<int>& a, ResultStream<int>& b) -> Task<bool> {
    auto [first, second] = co_await pinion::when_all(take_all(a), take_all(b));
    co_return first == squares(50) && second == squares(400);
  };
  CHECK(pinion::run(all(one, two)));
}

TEST_CASE("an await that is cancelled has taken nothing") {
  CheckedPool pool(2);
  auto stream = pool.imap(slow_square, numbers(100), StreamOptions{.window = 2});
  auto all = [](ResultStream<int>& from) -> Task<std::vector<int>> {
    std::vector<int> values;
    int expired = 0;
    for (;;) {
      try {
        const auto value =
            co_await pinion::with_timeout(std::chrono::microseconds(300), from.next_async());
        if (!value) break;
        values.push_back(*value);
      } catch (const pinion::TaskTimeout&) {
        ++expired;
      }
    }
    CHECK(expired > 0);
    co_return values;
  };
  CHECK(pinion::run(all(stream)) == squares(100));
}

TEST_CASE("the pool's end is the end of its streams") {
  if (left_out("a worker is killed")) return;
  pinion::Pool pool(1);
  auto stream = pool.imap(slow, std::vector<int>{1, 60'000, 60'000});
  auto all = [](pinion::Pool& p, ResultStream<int>& from) -> Task<std::string> {
    auto terminate_soon = [](pinion::Pool& q) -> Task<> {
      co_await pinion::sleep_for(20ms);
      q.terminate();
    };
    auto take = [](ResultStream<int>& s) -> Task<std::string> {
      std::string seen;
      for (;;) {
        try {
          const auto value = co_await s.next_async();
          if (!value) co_return seen + "end";
          seen += std::to_string(*value) + " ";
        } catch (const pinion::PoolTerminated&) {
          seen += "terminated ";
        } catch (const pinion::PoolClosed&) {
          seen += "closed ";
        }
      }
    };
    auto [text, nothing_more] = co_await pinion::when_all(take(from), terminate_soon(p));
    co_return text;
  };
  CHECK(pinion::run(all(pool, stream)) == "1 terminated terminated end");
}

TEST_CASE("outside pinion::run, or of an empty stream, it is refused") {
  ResultStream<int> empty;
  CHECK_THROWS_AS(empty.next_async(), std::logic_error);
}
