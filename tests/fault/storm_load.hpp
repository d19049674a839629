// What flows through a pool in a storm: tasks of every kind, each of which leaves a trace of its
// run, and values that say whether they are whole.
#pragma once

#include <fcntl.h>
#include <unistd.h>
#include <pinion/pinion.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/fault/shared.hpp"

namespace checks::storm {

/// One count an item of the whole storm, of its starts: made before any pool, so that workers share
/// it. 32 million items are more than a minute can hold.
inline const SharedArray<std::atomic<std::uint8_t>> starts(std::size_t{1} << 25);

inline void note_start(std::uint64_t item) { starts[item].fetch_add(1, std::memory_order_relaxed); }

inline std::uint64_t mixed(std::uint64_t x) {
  x ^= x >> 31;
  x *= 0x9E3779B97F4A7C15U;
  return x ^ x >> 29;
}

/// A number that proves itself.
struct Stamped {
  std::uint64_t item = 0;
  std::uint64_t check = 0;
  static Stamped of(std::uint64_t item) { return {item, mixed(item)}; }
  [[nodiscard]] bool whole() const { return check == mixed(item); }
};

/// Bytes that follow from the item and their number.
struct Block {
  std::uint64_t item = 0;
  std::vector<std::uint64_t> words;
  static Block of(std::uint64_t item, std::size_t n) {
    Block block{item, std::vector<std::uint64_t>(n)};
    for (std::size_t i = 0; i < n; ++i) block.words[i] = mixed(item + i);
    return block;
  }
  [[nodiscard]] bool whole() const {
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (words[i] != mixed(item + i)) return false;
    }
    return true;
  }
};

/// An argument that came in pieces is an error of the pool, not of the task.
inline void require_whole(bool whole) {
  if (!whole) throw std::logic_error("a damaged argument");
}

inline Stamped small(Stamped in) {
  require_whole(in.whole());
  note_start(in.item);
  return in;
}
inline Stamped slow(Stamped in) {
  require_whole(in.whole());
  note_start(in.item);
  std::this_thread::sleep_for(std::chrono::microseconds(in.item % 2000));
  return in;
}
inline Block large(const Block& in) {
  require_whole(in.whole());
  note_start(in.item);
  return in;
}
inline std::string text_of(std::uint64_t item) {
  return std::string(item % 300, 't') + std::to_string(mixed(item));
}
inline std::string texts(Stamped in) {
  require_whole(in.whole());
  note_start(in.item);
  return text_of(in.item);
}
inline pinion::Task<Stamped> naps(Stamped in) {
  require_whole(in.whole());
  note_start(in.item);
  co_await pinion::sleep_for(std::chrono::microseconds(in.item % 3000));
  co_return in;
}

class Pipe {
 public:
  Pipe() {
    if (::pipe2(ends_.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  [[nodiscard]] int read_end() const { return ends_[0]; }
  [[nodiscard]] int write_end() const { return ends_[1]; }

 private:
  std::array<int, 2> ends_{};
};

inline pinion::Task<void> write_later(int fd, Stamped in) {
  co_await pinion::sleep_for(std::chrono::microseconds(in.item % 1000));
  const std::span bytes = std::as_bytes(std::span(&in, 1));
  const std::size_t n = co_await pinion::io::write(fd, bytes);
  require_whole(n == sizeof in);
}
inline pinion::Task<Stamped> read_now(int fd) {
  Stamped out;
  const std::span bytes = std::as_writable_bytes(std::span(&out, 1));
  const std::size_t n = co_await pinion::io::read(fd, bytes);
  require_whole(n == sizeof out);
  co_return out;
}
/// Through a pipe of its own: the reader waits in the kernel while the writer sleeps.
inline pinion::Task<Stamped> pipes(Stamped in) {
  require_whole(in.whole());
  note_start(in.item);
  const Pipe pipe;
  auto both =
      co_await pinion::when_all(read_now(pipe.read_end()), write_later(pipe.write_end(), in));
  co_return std::get<0>(both);
}

}  // namespace checks::storm
