// The worker's ends of everything that it shares with the manager.
#pragma once

#include <cstddef>
#include <span>

#include "lib/os/fork_guard.hpp"
#include "lib/os/mapping.hpp"
#include "lib/shm/arena_layout.hpp"
#include "lib/start/birth.hpp"

namespace pinion::workers {

/// Maps the segments, checks them, and holds the two rings, the lines and the bells.
struct Channel {
  /// Throws `std::runtime_error` or `std::system_error`.
  Channel(const start::Birth& birth, const start::BirthFds& fds);

  os::Mapping manager_segment;  // read-only
  os::Mapping own_segment;
  os::Mapping bell_segment;

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
  ring::Bell own_bell;
  ring::Bell manager_bell;
  int manager_eventfd;
  int own_eventfd;

  /// Bytes that the manager wrote. Throws `std::runtime_error` where they lie outside its segment.
  [[nodiscard]] std::span<const std::byte> argument_bytes(const ring::BlockRef& block) const;
};

}  // namespace pinion::workers
