#include <doctest/doctest.h>

#include <pinion/channel.hpp>
#include <pinion/when_any.hpp>
#include <pinion/with_timeout.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/unit/loop_helpers.hpp"

using namespace pinion;
using namespace pinion::tests;
using namespace std::chrono_literals;
using loop::Loop;
using loop::Run;
using loop::run_task;

namespace {

Task<> send_range(Channel<int>& channel, int from, int to) {
  for (int i = from; i < to; ++i) {
    const bool sent = co_await channel.send(i);
    CHECK(sent);
  }
}
Task<std::vector<int>> receive_all(Channel<int>& channel) {
  std::vector<int> values;
  while (auto value = co_await channel.receive()) values.push_back(*value);
  co_return values;
}
Task<int> receive_one(Channel<int>& channel) {
  const auto value = co_await channel.receive();
  co_return value.value_or(-1);
}
Task<bool> send_one(Channel<int>& channel, int value) { co_return co_await channel.send(value); }

/// Neither copied nor assigned nor made from nothing.
struct Strict {
  explicit Strict(int v) : value(std::make_unique<int>(v)) {}
  Strict(Strict&&) noexcept = default;
  Strict& operator=(Strict&&) = delete;
  std::unique_ptr<int> value;
};

}  // namespace

TEST_CASE("one sender and one receiver: all values in their order, never more than fit") {
  for (const std::size_t capacity : {std::size_t{1}, std::size_t{2}, std::size_t{64}}) {
    Loop loop(IoBackend::automatic);
    Channel<int> channel(capacity);
    auto send = [](Channel<int>& to) -> Task<> {
      for (int i = 0; i < 1000; ++i) {
        CHECK(to.size() <= to.capacity());
        CHECK(co_await to.send(i));
        if (i % 100 == 0) co_await sleep_for(100us);
      }
      to.close();
    };
    auto [none, values] = run_task(loop, when_all(send(channel), receive_all(channel)));
    std::vector<int> expected(1000);
    std::iota(expected.begin(), expected.end(), 0);
    CHECK(values == expected);
  }
}

TEST_CASE("several senders and receivers: each value once") {
  Loop loop(IoBackend::automatic);
  Channel<int> channel(3);
  auto send_and_close = [](Channel<int>& to) -> Task<> {
    std::vector<Task<>> senders;
    for (int i = 0; i < 5; ++i) senders.push_back(send_range(to, i * 200, (i + 1) * 200));
    co_await when_all(std::move(senders));
    to.close();
  };
  std::vector<Task<std::vector<int>>> receivers;
  for (int i = 0; i < 4; ++i) receivers.push_back(receive_all(channel));
  auto [lists, none] =
      run_task(loop, when_all(when_all(std::move(receivers)), send_and_close(channel)));
  std::vector<int> all;
  for (const auto& list : lists) {
    CHECK(list.size() > 50);  // nobody starves
    all.insert(all.end(), list.begin(), list.end());
  }
  std::sort(all.begin(), all.end());
  std::vector<int> expected(1000);
  std::iota(expected.begin(), expected.end(), 0);
  CHECK(all == expected);
}

TEST_CASE("a closed channel gives what is in it, then nothing, and takes nothing") {
  Loop loop(IoBackend::automatic);
  Channel<int> channel(4);
  run_task(loop, send_range(channel, 0, 3));
  channel.close();
  channel.close();
  CHECK(channel.closed());
  CHECK_FALSE(run_task(loop, send_one(channel, 9)));
  CHECK(run_task(loop, receive_all(channel)) == std::vector<int>{0, 1, 2});
  CHECK(run_task(loop, receive_all(channel)).empty());
}

TEST_CASE("close wakes all who wait") {
  Loop loop(IoBackend::automatic);
  auto close_later = [](Channel<int>& channel) -> Task<> {
    co_await sleep_for(2ms);
    channel.close();
  };
  Channel<int> empty(1);
  CHECK(std::get<0>(run_task(loop, when_all(receive_all(empty), close_later(empty)))).empty());
  Channel<int> full(1);
  int value = 1;
  CHECK(full.try_send(value));
  auto [first, second, none] =
      run_task(loop, when_all(send_one(full, 2), send_one(full, 3), close_later(full)));
  CHECK_FALSE(first);
  CHECK_FALSE(second);
  CHECK(run_task(loop, receive_all(full)) == std::vector<int>{1});
}

TEST_CASE("try_send and try_receive do not wait") {
  Channel<std::unique_ptr<int>> channel(1);
  auto one = std::make_unique<int>(1);
  auto two = std::make_unique<int>(2);
  CHECK_FALSE(channel.try_receive());
  CHECK(channel.try_send(one));
  CHECK(one == nullptr);
  CHECK_FALSE(channel.try_send(two));
  REQUIRE(two != nullptr);  // left alone
  CHECK(**channel.try_receive() == 1);
  channel.close();
  CHECK_FALSE(channel.try_send(two));
  CHECK_THROWS_AS(Channel<int>(0), std::invalid_argument);
}

TEST_CASE("values need only be movable") {
  Loop loop(IoBackend::automatic);
  Channel<Strict> channel(1);
  auto send = [](Channel<Strict>& to) -> Task<> {
    for (int i = 0; i < 5; ++i) CHECK(co_await to.send(Strict(i)));
    to.close();
  };
  auto receive = [](Channel<Strict>& from) -> Task<int> {
    int sum = 0;
    while (const auto value = co_await from.receive()) sum += *value->value;
    co_return sum;
  };
  CHECK(std::get<1>(run_task(loop, when_all(send(channel), receive(channel)))) == 10);
}

TEST_CASE("who is cancelled has sent and received nothing") {
  Loop loop(IoBackend::automatic);
  Channel<int> channel(1);
  CHECK_THROWS_AS(run_task(loop, with_timeout(2ms, receive_one(channel))), TaskTimeout);
  CHECK(run_task(loop, send_one(channel, 1)));
  CHECK_THROWS_AS(run_task(loop, with_timeout(2ms, send_one(channel, 2))), TaskTimeout);
  CHECK(run_task(loop, receive_one(channel)) == 1);
  CHECK(channel.size() == 0);
}

TEST_CASE("a value for a receiver that was destroyed goes to the next, or back to the front") {
  Loop loop(IoBackend::automatic);
  Channel<int> channel(2);
  auto first = std::make_unique<Run<int>>(loop, receive_one(channel));
  loop.run_ready(1);
  int value = 1;
  CHECK(channel.try_send(value));  // handed to the first
  value = 2;
  CHECK(channel.try_send(value));
  CHECK(channel.size() == 1);
  first.reset();
  CHECK(channel.size() == 2);
  channel.close();
  CHECK(run_task(loop, receive_all(channel)) == std::vector<int>{1, 2});

  Channel<int> other(1);
  auto gone = std::make_unique<Run<int>>(loop, receive_one(other));
  Run next(loop, receive_one(other));
  loop.run_ready(2);
  value = 7;
  CHECK(other.try_send(value));
  gone.reset();
  while (!next.done()) next.step();
  CHECK(next.take() == 7);
}

TEST_CASE("a sender that is destroyed while it waits leaves the others their places") {
  Loop loop(IoBackend::automatic);
  Channel<int> channel(1);
  int value = 0;
  CHECK(channel.try_send(value));
  auto gone = std::make_unique<Run<bool>>(loop, send_one(channel, 1));
  Run stays(loop, send_one(channel, 2));
  loop.run_ready(2);
  gone.reset();
  CHECK(channel.try_receive() == 0);
  CHECK(channel.try_receive() == 2);
  while (!stays.done()) stays.step();
  CHECK(stays.take());
}

TEST_CASE("when all wait for each other it is an error and not a hang") {
  Loop loop(IoBackend::automatic);
  Channel<int> one(1);
  Channel<int> two(1);
  CHECK_THROWS_AS(run_task(loop, when_all(receive_one(one), receive_one(two))), std::logic_error);
}
