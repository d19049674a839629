// The worker's ends of everything that it shares with the manager.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "lib/os/fork_guard.hpp"
#include "lib/os/mapping.hpp"
#include "lib/pool/arrays.hpp"
#include "lib/shm/arena_layout.hpp"
#include "lib/shm/array_memory.hpp"
#include "lib/start/birth.hpp"

namespace pinion::workers {

/// Holds the two rings, the lines and the bells.
struct Channel {
  /// A process: maps the segments and checks them. Throws `std::runtime_error` or
  /// `std::system_error`.
  Channel(const start::Birth& birth, const start::BirthFds& fds);
  /// A thread: they are mapped.
  Channel(const start::Birth& birth, start::LocalHome& home);

  os::Mapping array_mapping;    // of a process; the first, since it must have its own address
  os::Mapping manager_mapping;  // of a process; read-only
  os::Mapping own_mapping;
  os::Mapping bell_mapping;
  std::span<const std::byte> manager_segment;
  std::byte* own_segment;

  ring::Fencing fencing;
  shm::TaskRing::Consumer tasks;
  shm::ResultRing::Producer results;
  const ring::ManagerLine* manager_line;
  const ring::Verdict* verdicts;
  const shm::ModuleEntry* modules;
  ring::WorkerLine* line;
  shm::WorkerNote* note;
  std::uint64_t results_begin;
  shm::WorkerFlight* flights;
  /// Where shared arrays lie, and this worker's marks.
  struct ArrayPart {
    std::uint32_t pool;  // of the pool's random number
    std::byte* begin;
    std::uint64_t bytes;
    shm::ArrayMarks* marks;
  };
  ArrayPart arrays;
  ring::Bell own_bell;
  ring::Bell manager_bell;
  int manager_eventfd;
  int bell_eventfd;
  int own_eventfd;
  start::OriginalErrors* originals = nullptr;  // of a worker in the manager's process
  bool has_thread = true;                      // of its own
  std::shared_ptr<pool::Arrays> local_arrays;  // of such a worker: it shares the manager's

  [[nodiscard]] bool is_local() const noexcept { return originals != nullptr; }
  /// The manager waits for this worker's end, and takes nothing more of what it does: that of a
  /// process is SIGKILL.
  [[nodiscard]] bool abandoned() const noexcept {
    return manager_line->revoked_end.load(std::memory_order_acquire) == ring::revoked_all;
  }

  /// Bytes that the manager wrote. Throws `std::runtime_error` where they lie outside its segment.
  [[nodiscard]] std::span<const std::byte> argument_bytes(const ring::BlockRef& block) const;

 private:
  struct Places {
    std::byte* manager;
    std::byte* own;
    std::byte* bells;
  };
  void find(const start::Birth& birth, const Places& places);
};

}  // namespace pinion::workers
