#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "lib/os/clock.hpp"
#include "lib/pool/callbacks.hpp"

using namespace std::chrono_literals;
using pinion::pool::Callbacks;
namespace os = pinion::os;

namespace {

/// The thread's way of waiting for results, where there are none.
void wait(const std::function<bool()>& reached) {
  while (!reached()) std::this_thread::yield();
}

bool eventually(const std::function<bool()>& holds) {
  const std::int64_t deadline = os::now_ns() + 5'000'000'000;
  while (!holds() && os::now_ns() < deadline) std::this_thread::sleep_for(1ms);
  return holds();
}

}  // namespace

TEST_CASE("callbacks run one after the other, in their order, on a thread of their own") {
  Callbacks callbacks;
  std::vector<int> order;
  std::atomic<bool> own_thread{true};
  for (int i = 0; i < 1000; ++i) {
    callbacks.expect(wait);
    callbacks.post([&, i] {
      order.push_back(i);
      if (!callbacks.on_this_thread()) own_thread = false;
    });
  }
  CHECK_FALSE(callbacks.on_this_thread());
  callbacks.stop();
  REQUIRE(order.size() == 1000);
  for (int i = 0; i < 1000; ++i) CHECK(order[static_cast<std::size_t>(i)] == i);
  CHECK(own_thread);
  CHECK(callbacks.expected() == 0);
}

TEST_CASE("what a callback throws is counted, and the next one runs") {
  Callbacks callbacks;
  std::atomic<int> ran{0};
  for (int i = 0; i < 10; ++i) {
    callbacks.expect(wait);
    callbacks.post([&, i] {
      ++ran;
      if (i % 2 == 0) throw std::runtime_error("no matter");
      if (i == 5) throw 42;
    });
  }
  callbacks.stop();
  CHECK(ran == 10);
  CHECK(callbacks.errors() == 6);
}

TEST_CASE("several threads hand over callbacks, and each runs once") {
  constexpr int each = 5000;
  Callbacks callbacks;
  std::vector<int> runs(3 * each, 0);  // the callback thread's
  std::vector<std::thread> posters;
  for (int t = 0; t < 3; ++t) {
    posters.emplace_back([&, t] {
      for (int i = 0; i < each; ++i) {
        callbacks.expect(wait);
        callbacks.post([&runs, at = static_cast<std::size_t>(t * each + i)] { ++runs[at]; });
        if (i % 100 == 0) std::this_thread::sleep_for(10us);  // so that it sleeps between
      }
    });
  }
  for (auto& poster : posters) poster.join();
  CHECK(eventually([&] { return callbacks.expected() == 0; }));
  callbacks.stop();
  CHECK(runs == std::vector<int>(3 * each, 1));
}

TEST_CASE("no callback is left lying while the thread sleeps") {
  Callbacks callbacks;
  std::atomic<int> ran{0};
  bool late = false;
  for (int i = 1; i <= 3000 && !late; ++i) {
    const std::int64_t begin = os::now_ns();
    callbacks.expect(wait);
    callbacks.post([&] { ++ran; });
    while (ran.load() != i && !late) {
      std::this_thread::yield();
      late = os::now_ns() - begin > 2'000'000'000;
    }
  }
  CHECK_FALSE(late);
  callbacks.stop();
}

TEST_CASE("a callback may hand over another one") {
  Callbacks callbacks;
  std::atomic<int> depth{0};
  std::function<void()> again = [&] {
    if (++depth == 100) return;
    callbacks.expect(wait);
    callbacks.post(again);
  };
  callbacks.expect(wait);
  callbacks.post(again);
  CHECK(eventually([&] { return depth == 100; }));
  callbacks.stop();
  CHECK(callbacks.expected() == 0);
}

TEST_CASE("there is one thread, however often it is started") {
  Callbacks callbacks;
  std::vector<std::thread> starters;
  for (int i = 0; i < 3; ++i) {
    starters.emplace_back([&] {
      callbacks.expect(wait);
      callbacks.post([] {});
    });
  }
  for (auto& starter : starters) starter.join();
  std::atomic<int> at_once{0};
  std::atomic<bool> two{false};
  for (int i = 0; i < 200; ++i) {
    callbacks.expect(wait);
    callbacks.post([&] {
      if (at_once.fetch_add(1) != 0) two = true;
      std::this_thread::yield();
      at_once.fetch_sub(1);
    });
  }
  callbacks.stop();
  CHECK_FALSE(two);
}

TEST_CASE("after its end no thread is made, and what was posted is destroyed") {
  const auto held = std::make_shared<int>(1);
  {
    Callbacks callbacks;
    callbacks.stop();
    callbacks.expect(wait);
    callbacks.post([held] { FAIL_CHECK("nobody runs it"); });
    CHECK(held.use_count() == 2);
  }
  CHECK(held.use_count() == 1);
}

TEST_CASE("the host's signals are not handled on the callback thread") {
  Callbacks callbacks;
  std::atomic<int> blocked{-1};
  callbacks.expect(wait);
  callbacks.post([&] {
    sigset_t mask;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    blocked = sigismember(&mask, SIGINT) + sigismember(&mask, SIGUSR1);
  });
  callbacks.stop();
  CHECK(blocked == 2);
}
