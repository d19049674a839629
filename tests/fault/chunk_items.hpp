// Items for maps in which workers die: each leaves traces in shared memory, and may kill its worker
// or throw where a test tells it to.
#pragma once

#include <pinion/codec.hpp>
#include <pinion/pinion.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/eventually.hpp"
#include "tests/fault/shared.hpp"
#include "tests/fault/ways.hpp"

namespace checks {

inline constexpr std::size_t items_max = 1 << 16;

/// What has happened to each item, in whatever worker.
struct Traces {
  SharedArray<std::atomic<std::uint32_t>> decoded{items_max};
  SharedArray<std::atomic<std::uint32_t>> started{items_max};
  SharedArray<std::atomic<std::uint32_t>> ended{items_max};
  void clear() const {
    decoded.clear();
    started.clear();
    ended.clear();
  }
};
inline const Traces traces;
struct Plan {
  std::atomic<int> dies_at{-1};
  std::atomic<int> throws_at{-1};
};
inline const Shared<Plan> plan;

inline void spend(std::chrono::nanoseconds time) {
  const auto end = Clock::now() + time;
  while (Clock::now() < end) {
  }
}

/// What every kind of item does: leaves its traces, and dies or throws where it is told to.
inline void begin_item(int i) {
  traces.started[static_cast<std::size_t>(i)].fetch_add(1, std::memory_order_relaxed);
  if (plan->dies_at.load(std::memory_order_relaxed) == i) die(Way::kill);
  if (plan->throws_at.load(std::memory_order_relaxed) == i) throw std::out_of_range("item");
}
inline void end_item(int i) {
  traces.ended[static_cast<std::size_t>(i)].fetch_add(1, std::memory_order_relaxed);
}

inline int long_fixed(int i) {
  begin_item(i);
  spend(20us);  // beyond strips
  end_item(i);
  return 3 * i;
}
inline std::string long_variable(int i) {
  begin_item(i);
  spend(20us);
  end_item(i);
  return std::string(static_cast<std::size_t>(i % 97), 'v') + std::to_string(i);
}
inline std::string long_text(const std::string& text) { return long_variable(std::stoi(text)); }
inline int short_fixed(int i) {
  begin_item(i);
  end_item(i);
  return 3 * i;
}
inline std::string short_variable(int i) {
  begin_item(i);
  end_item(i);
  return std::string();
}

/// A callable that kills whoever decodes it.
struct DeadlyCallable {
  std::string text;  // makes it travel by codec
  int operator()(int i) const { return i; }
};

/// A number that counts how often it is decoded in a worker, and may die of it, or of being encoded
/// there.
enum class Deadly : int { nothing, decoding, encoding };
struct Number {
  int i = 0;
  Deadly deadly{};
};

}  // namespace checks

template <>
struct pinion::codec<checks::DeadlyCallable> {
  static std::size_t size(const checks::DeadlyCallable& c) { return pinion::encoded_size(c.text); }
  static void encode(Writer& to, const checks::DeadlyCallable& c) { pinion::encode(to, c.text); }
  static checks::DeadlyCallable decode(Reader& from) {
    if (pinion::in_worker()) checks::die(checks::Way::kill);
    return {pinion::decode<std::string>(from)};
  }
};
template <>
struct pinion::codec<checks::Number> {
  // Of sizes that differ, so that each has its place in a chunk.
  static std::size_t size(const checks::Number& n) {
    return sizeof n + static_cast<std::size_t>(n.i % 7);
  }
  static void encode(Writer& to, const checks::Number& n) {
    if (n.deadly == checks::Deadly::encoding && pinion::in_worker()) checks::die(checks::Way::kill);
    to.value(n);
    for (int k = 0; k < n.i % 7; ++k) to.value('x');
  }
  static checks::Number decode(Reader& from) {
    const auto n = from.value<checks::Number>();
    if (pinion::in_worker()) {
      checks::traces.decoded[static_cast<std::size_t>(n.i)].fetch_add(1, std::memory_order_relaxed);
      if (n.deadly == checks::Deadly::decoding) checks::die(checks::Way::kill);
    }
    for (int k = 0; k < n.i % 7; ++k) static_cast<void>(from.value<char>());
    return n;
  }
};

namespace checks {

inline Number pass_on(const Number& n) {
  begin_item(n.i);
  spend(20us);
  end_item(n.i);
  return n;
}
inline std::vector<Number> many_numbers(int n, int deadly_at, Deadly deadly) {
  std::vector<Number> found;
  for (int i = 0; i < n; ++i) found.push_back({i, i == deadly_at ? deadly : Deadly::nothing});
  return found;
}

}  // namespace checks
