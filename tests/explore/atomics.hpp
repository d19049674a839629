// The explorer as a policy of the protocols (lib/ring/atomics.hpp).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>

#include "lib/ring/mutant.hpp"
#include "tests/explore/explorer.hpp"

namespace explore {

/// An order that is left out everywhere, to show that it is needed.
enum class Without { nothing, acquire, release, seq_cst };

constexpr Order order_of(std::memory_order order, Without without) {
  Order result;
  result.acquire = order != std::memory_order_relaxed && order != std::memory_order_release &&
                   without != Without::acquire;
  result.release = order != std::memory_order_relaxed && order != std::memory_order_acquire &&
                   order != std::memory_order_consume && without != Without::release;
  result.sc = order == std::memory_order_seq_cst && without != Without::seq_cst;
  return result;
}

/// An atomic word in the model of memory, with the interface of std::atomic.
template <class T, Without without = Without::nothing>
class Word {
 public:
  using value_type = T;

  Word() : Word(T{}) {}
  Word(T initial) : at_(Explorer::current().add(to(initial))) {}
  Word(const Word&) = delete;
  Word& operator=(const Word&) = delete;

  T load(std::memory_order order = std::memory_order_seq_cst) const {
    return static_cast<T>(Explorer::current().load(at_, loads(order)));
  }
  void store(T value, std::memory_order order = std::memory_order_seq_cst) {
    Explorer::current().store(at_, to(value), stores(order));
  }
  T exchange(T value, std::memory_order order = std::memory_order_seq_cst) {
    return update(Change::exchange, value, order);
  }
  T fetch_add(T value, std::memory_order order = std::memory_order_seq_cst) {
    return update(Change::add, value, order);
  }
  T fetch_sub(T value, std::memory_order order = std::memory_order_seq_cst) {
    return update(Change::subtract, value, order);
  }
  T fetch_or(T value, std::memory_order order = std::memory_order_seq_cst) {
    return update(Change::set_bits, value, order);
  }
  bool compare_exchange_strong(T& expected, T desired,
                               std::memory_order order = std::memory_order_seq_cst) {
    const T read = update(Change::exchange_if_equal, desired, order, expected);
    const bool equal = read == expected;
    expected = read;
    return equal;
  }

  [[nodiscard]] Location at() const noexcept { return at_; }
  void name(const char* name) { Explorer::current().name(at_, name); }

 private:
  static Value to(T value) { return static_cast<Value>(value) & mask; }
  static Order loads(std::memory_order order) {
    Order result = order_of(order, without);
    result.release = false;
    return result;
  }
  static Order stores(std::memory_order order) {
    Order result = order_of(order, without);
    result.acquire = false;
    return result;
  }
  T update(Change::How how, T value, std::memory_order order, T expected = T{}) {
    return static_cast<T>(Explorer::current().update(at_, {how, to(value), to(expected), mask},
                                                     order_of(order, without)));
  }

  static constexpr Value mask = ~Value{0} >> (64 - 8 * sizeof(T));
  Location at_;
};

/// An eventfd.
class Event {
 public:
  /// What stands for its descriptor.
  [[nodiscard]] int fd() const noexcept { return word_.at(); }
  /// Sleeps until it is rung.
  void take() { Explorer::current().take_event(word_.at()); }

 private:
  Word<std::uint64_t> word_{0};
};

class Mutex {
 public:
  void lock() { Explorer::current().lock(word_.at()); }
  void unlock() { Explorer::current().unlock(word_.at()); }

 private:
  Word<std::uint32_t> word_{0};
};

template <pinion::ring::Mutant fault = pinion::ring::Mutant::none,
          Without without = Without::nothing>
struct Atomics {
  static constexpr pinion::ring::Mutant mutant = fault;
  static constexpr bool fences_by_rmw = false;

  template <class T>
  using Word = explore::Word<T, without>;

  static void compiler_barrier() noexcept {}
  static void full_fence() { Explorer::current().fence(); }
  static void membarrier() { Explorer::current().membarrier(); }

  /// A message, word by word.
  template <class Message>
  struct Stored {
    static constexpr std::size_t count = sizeof(Message) / sizeof(std::uint64_t);
    Word<std::uint64_t> words[count];
  };
  template <class Message>
  static void put(Stored<Message>& to, const Message& message) {
    std::uint64_t words[Stored<Message>::count];
    std::memcpy(words, &message, sizeof words);
    for (std::size_t i = 0; i < std::size(words); ++i) {
      to.words[i].store(words[i], std::memory_order_relaxed);
    }
  }
  template <class Message>
  static void get(Message& message, const Stored<Message>& from) {
    std::uint64_t words[Stored<Message>::count];
    for (std::size_t i = 0; i < std::size(words); ++i) {
      words[i] = from.words[i].load(std::memory_order_relaxed);
    }
    std::memcpy(&message, words, sizeof words);
  }

  static void futex_wait(const Word<std::uint32_t>& word, std::uint32_t expected, std::int64_t) {
    Explorer::current().futex_wait(word.at(), expected);
  }
  static void futex_wake(const Word<std::uint32_t>& word, int count) {
    Explorer::current().futex_wake(word.at(), count);
  }
  static void ring_eventfd(int fd) {
    Explorer::current().update(static_cast<Location>(fd), {Change::add, 1, 0, ~Value{0}},
                               {true, true, false});
  }
};

}  // namespace explore
