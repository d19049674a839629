// Where things lie in the arena.
//
//   manager's segment (workers map it read-only)
//   +--------+----------------------------------------+---------+---------------- - - -
//   | header | worker 0 | worker 1 | ... | worker n-1 | modules | arguments (Space)
//   +--------+----------------------------------------+---------+---------------- - - -
//      worker i: ManagerLine 256 | Verdict[flights] | task ring
//
//   worker's segment, one per worker and generation (the manager maps it read-only)
//   +--------+------------+------------+------------------+-------------+---------------- - - -
//   | header | WorkerLine | WorkerNote | WorkerFlight[flights] | array marks | result ring |
//   results
//   +--------+------------+------------+------------------+-------------+---------------- - - -
//
//   bell page (both write): word of the manager | word of worker 0 | ... each 128 bytes apart;
//   with -Dring=boost the rings lie here, since their indices have two writers
//
//   fields                                  only writer
//   all of the manager's segment            the manager
//   all of a worker's segment               that worker, in that generation
//   a bell's word                           see lib/ring/bell.hpp
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "lib/ring/claim.hpp"
#include "lib/ring/messages.hpp"
#include "lib/ring/ring.hpp"
#include "lib/shm/limits.hpp"
#include "lib/shm/segment.hpp"

namespace pinion::shm {

using TaskRing = ring::Ring<ring::TaskMessage>;
using ResultRing = ring::Ring<ring::ResultMessage>;

constexpr std::uint64_t align_up(std::uint64_t n, std::uint64_t align) noexcept {
  return (n + align - 1) / align * align;
}

inline constexpr std::uint64_t page_bytes = 4096;

/// One entry of the module table: a program or library whose code tasks may name.
struct ModuleEntry {
  std::atomic<std::uint32_t> ready;  // 1 once the rest is written (release)
  std::uint32_t build_id_bytes;
  std::uint8_t build_id[32];
  std::uint8_t is_program;  // not a library: it cannot be loaded
  char path[471];
};
static_assert(sizeof(ModuleEntry) == 512);
inline constexpr std::size_t modules_max = 256;

struct ManagerLayout {
  unsigned workers = 0;
  Capacity capacity{};

  [[nodiscard]] constexpr std::uint64_t verdicts_bytes() const noexcept {
    return align_up(capacity.flights * sizeof(ring::Verdict), ring::writer_bytes);
  }
  [[nodiscard]] constexpr std::uint64_t worker_bytes() const noexcept {
    const std::uint64_t task_ring_bytes =
        TaskRing::shared_indices
            ? 0
            : align_up(TaskRing::bytes(capacity.ring_slots), ring::writer_bytes);
    return sizeof(ring::ManagerLine) + verdicts_bytes() + task_ring_bytes;
  }
  [[nodiscard]] constexpr std::uint64_t line(unsigned worker) const noexcept {
    return ring::writer_bytes + worker * worker_bytes();
  }
  [[nodiscard]] constexpr std::uint64_t verdicts(unsigned worker) const noexcept {
    return line(worker) + sizeof(ring::ManagerLine);
  }
  [[nodiscard]] constexpr std::uint64_t task_ring(unsigned worker) const noexcept {
    return verdicts(worker) + verdicts_bytes();
  }
  [[nodiscard]] constexpr std::uint64_t modules() const noexcept { return line(workers); }
  [[nodiscard]] constexpr std::uint64_t arguments() const noexcept {
    return align_up(modules() + modules_max * sizeof(ModuleEntry), page_bytes);
  }
};

/// What a worker says about its event loop, for display. Written by the worker, seldom.
struct WorkerNote {
  std::atomic<std::uint32_t> backend;         // pinion::IoBackend; 0 until it is made (release)
  std::atomic<std::uint32_t> initializing;    // 1 while the initializer runs
  std::atomic<std::uint32_t> handler_errors;  // exceptions that the exception handler threw
  std::atomic<std::uint32_t> stalls;
  std::atomic<std::int64_t> longest_stall_ns;
  char reason[104];
};
static_assert(sizeof(WorkerNote) == ring::writer_bytes);

/// What a worker says of one flight. Written by the worker only.
struct alignas(32) WorkerFlight {
  std::atomic<std::uint64_t> started_ns;  // of a timed task: start of the oldest item that runs
  std::atomic<std::uint64_t> chunk;       // position + 1 of the coroutine chunk on it
  std::atomic<std::uint64_t> block;       // of that chunk: offset of its result block
};
static_assert(sizeof(WorkerFlight) == 32);

/// The shared arrays that a worker has handles of: bit n mod 64 of word n / 64 for array n. Set
/// before the answer of the task that brought the handle, cleared by who drops the last one.
using ArrayMarks = std::atomic<std::uint64_t>;
inline constexpr std::uint64_t array_marks_bytes = arrays_max / 8;

struct WorkerLayout {
  Capacity capacity{};

  static constexpr std::uint64_t line = ring::writer_bytes;
  static constexpr std::uint64_t note = line + sizeof(ring::WorkerLine);
  static constexpr std::uint64_t flights = note + sizeof(WorkerNote);
  [[nodiscard]] constexpr std::uint64_t array_marks() const noexcept {
    return align_up(flights + capacity.flights * sizeof(WorkerFlight), ring::writer_bytes);
  }
  [[nodiscard]] constexpr std::uint64_t result_ring() const noexcept {
    return align_up(array_marks() + array_marks_bytes, ring::writer_bytes);
  }
  [[nodiscard]] constexpr std::uint64_t results() const noexcept {
    const std::uint64_t ring_bytes =
        ResultRing::shared_indices ? 0 : ResultRing::bytes(capacity.ring_slots);
    return align_up(result_ring() + ring_bytes, page_bytes);
  }
};

struct BellLayout {
  unsigned workers = 0;
  Capacity capacity{};

  static constexpr std::uint64_t manager = ring::writer_bytes;
  [[nodiscard]] static constexpr std::uint64_t worker(unsigned index) noexcept {
    return manager + (index + 1) * ring::writer_bytes;
  }
  // Only with rings that have shared indices:
  [[nodiscard]] constexpr std::uint64_t task_ring_bytes() const noexcept {
    return align_up(TaskRing::bytes(capacity.ring_slots), ring::writer_bytes);
  }
  [[nodiscard]] constexpr std::uint64_t ring_stride() const noexcept {
    return task_ring_bytes() + align_up(ResultRing::bytes(capacity.ring_slots), ring::writer_bytes);
  }
  [[nodiscard]] constexpr std::uint64_t task_ring(unsigned index) const noexcept {
    return worker(workers) + index * ring_stride();
  }
  [[nodiscard]] constexpr std::uint64_t result_ring(unsigned index) const noexcept {
    return task_ring(index) + task_ring_bytes();
  }
  [[nodiscard]] constexpr std::uint64_t bytes() const noexcept {
    return align_up(TaskRing::shared_indices ? task_ring(workers) : worker(workers), page_bytes);
  }
};

/// Differs between two builds that lay anything out differently.
constexpr std::uint64_t layout_number() noexcept {
  constexpr std::uint64_t sizes[] = {sizeof(void*),
                                     sizeof(SegmentHeader),
                                     sizeof(ring::ManagerLine),
                                     sizeof(ring::Verdict),
                                     sizeof(ring::WorkerLine),
                                     sizeof(ring::TaskMessage),
                                     sizeof(ring::ResultMessage),
                                     sizeof(ModuleEntry),
                                     sizeof(WorkerNote),
                                     sizeof(WorkerFlight),
                                     modules_max,
                                     ManagerLayout{1}.arguments(),
                                     WorkerLayout{}.result_ring(),
                                     WorkerLayout{}.results(),
                                     BellLayout{1}.ring_stride(),
                                     TaskRing::shared_indices,
                                     alignof(ring::Slot<ring::TaskMessage>),
                                     offsetof(ring::TaskMessage, payload),
                                     offsetof(ring::ResultMessage, payload)};
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a over the numbers
  for (const std::uint64_t n : sizes) hash = (hash ^ n) * 0x100000001b3;
  return hash;
}

}  // namespace pinion::shm
