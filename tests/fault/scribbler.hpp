// What tests with scribblers share: how a worker finds all that it can write, how it tells lies
// there, and what must hold in the manager afterwards.
#pragma once

#include <doctest/doctest.h>
#include <unistd.h>
#include <pinion/pinion.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "contract/checks.hpp"
#include "lib/os/futex.hpp"
#include "lib/shm/arena_layout.hpp"

namespace checks::scribbler {

namespace ring = pinion::ring;
namespace shm = pinion::shm;

inline constexpr unsigned workers = 3;
inline constexpr shm::Capacity capacity;
inline constexpr shm::WorkerLayout own_layout{capacity};
inline constexpr shm::ManagerLayout manager_layout{workers, capacity};
inline constexpr std::uint64_t committed = own_layout.results() + shm::result_bytes_start;

// What follows runs in a worker.

struct Area {
  std::byte* begin = nullptr;
  std::size_t bytes = 0;
};

/// A mapping of this process, by the name of its memfd and its permissions ("rw-s").
inline Area area_of(const std::string& name, const std::string& permissions) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("memfd:" + name) == line.npos || line.find(permissions) == line.npos) continue;
    unsigned long begin = 0;
    unsigned long end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx", &begin, &end) != 2) continue;
    return {reinterpret_cast<std::byte*>(begin), end - begin};
  }
  throw std::runtime_error("this worker has no mapping of " + name + " that is " + permissions);
}
inline Area own_area() { return area_of("pinion-worker", "rw"); }
inline Area manager_area() { return area_of("pinion-manager", "r--"); }
inline Area bell_area() { return area_of("pinion-bells", "rw"); }

/// A worker's own memory, to lie with.
class Liar {
 public:
  Liar() : own_(own_area()), manager_(manager_area()), bells_(bell_area()) {}

  std::byte* at(std::uint64_t offset) const { return own_.begin + offset; }
  void word(std::uint64_t offset, std::uint64_t value) const {
    reinterpret_cast<std::atomic<std::uint64_t>*>(at(offset))->store(value);
  }
  ring::WorkerLine& line() const {
    return *reinterpret_cast<ring::WorkerLine*>(at(shm::WorkerLayout::line));
  }
  shm::WorkerNote& note() const {
    return *reinterpret_cast<shm::WorkerNote*>(at(shm::WorkerLayout::note));
  }
  shm::WorkerFlight& flight() const {
    return reinterpret_cast<shm::WorkerFlight*>(at(shm::WorkerLayout::flights))[task().flight];
  }

  /// The position of the task that runs, and its message.
  std::uint64_t position() const { return line().claimed.load() - 1; }
  const ring::TaskMessage& task() const {
    const std::uint64_t slot = manager_layout.task_ring(pinion::this_worker::index()) +
                               position() % capacity.ring_slots * ring::line_bytes;
    return reinterpret_cast<const ring::Slot<ring::TaskMessage>*>(manager_.begin + slot)->message;
  }

  /// An answer to the task that runs.
  ring::ResultMessage answer(ring::ResultKind kind) const {
    ring::ResultMessage message{};
    message.flight = task().flight;
    message.kind = kind;
    message.flags = ring::result_is_inline;
    message.position = position();
    message.items_done = task().count;
    return message;
  }
  /// Stored where the manager looks next. Returns where that is.
  std::uint64_t push(const ring::ResultMessage& message) const {
    using Slot = ring::Slot<ring::ResultMessage>;
    auto* const slots = reinterpret_cast<Slot*>(at(own_layout.result_ring()));
    std::uint64_t next = 0;
    for (std::uint32_t i = 0; i < capacity.ring_slots; ++i) {
      next = std::max(next, slots[i].sequence.load());
    }
    Slot& slot = slots[next % capacity.ring_slots];
    slot.message = message;
    slot.sequence.store(next + 1);
    ring_manager();
    return own_layout.result_ring() + next % capacity.ring_slots * sizeof(Slot);
  }
  void ring_manager() const {
    using Word = std::atomic<std::uint32_t>;
    ring::Bell(reinterpret_cast<Word*>(bells_.begin + shm::BellLayout::manager), -1,
               ring::Fencing::symmetric)
        .ring(true);
  }

 private:
  Area own_;
  Area manager_;
  Area bells_;
};

/// It has lied, and does not answer honestly any more: it is killed for the lie, or dies.
[[noreturn]] inline void await_the_end() {
  std::this_thread::sleep_for(100ms);
  ::_exit(3);
}

// What follows runs in the manager.

inline int square(int n) { return n * n; }

/// It ends, somehow.
template <class T>
void await_end(const pinion::AsyncResult<T>& result) {
  REQUIRE(result.wait(30s));
}

/// Right values: all of a batch.
inline void check_work(pinion::Pool& pool) {
  std::vector<int> right;
  for (const int n : numbers(300)) right.push_back(n * n);
  CHECK(pool.map_async(square, numbers(300)).get(30s) == right);
}

inline bool rings_are_shared() {
  if constexpr (shm::ResultRing::shared_indices) {
    checks::skip("rings with shared indices are for trusted workers");
    return true;
  }
  return false;
}

}  // namespace checks::scribbler
