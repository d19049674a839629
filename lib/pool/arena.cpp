#include "lib/pool/arena.hpp"

#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <pinion/errors.hpp>

#include <algorithm>

#include "lib/os/free_memory.hpp"

namespace pinion::pool {

namespace {

std::uint64_t random_number() {
  std::uint64_t n = 0;
  if (::getrandom(&n, sizeof n, 0) != sizeof n) os::throw_errno("getrandom");
  return n;
}

/// Start sizes of all segments together.
std::uint64_t start_bytes(const Arena::Shape& shape) noexcept {
  const shm::ManagerLayout layout{shape.seats, shape.capacity};
  const shm::BellLayout bells{shape.seats, shape.capacity};
  return layout.arguments() + shm::argument_bytes_start + bells.bytes() +
         shape.workers * (shm::WorkerLayout{shape.capacity}.results() + shm::result_bytes_start);
}

std::uint64_t limit_or_default(const Arena::Shape& shape, std::uint64_t limit) {
  const std::uint64_t needed = start_bytes(shape);
  if (limit == 0) return std::max(needed, os::free_memory_bytes() / 4);
  if (limit < needed) {
    throw ResourceError("PoolOptions::arena_bytes", std::to_string(limit) + " bytes",
                        std::to_string(shape.workers) + " workers need at least " +
                            std::to_string(needed) + " bytes to start");
  }
  return limit;
}

/// `wanted`, as far as process limits go: each worker has a segment, the manager one, and one is
/// for shared arrays.
std::uint64_t range_within_limits(const Arena::Shape& shape, std::uint64_t wanted) noexcept {
  constexpr std::uint64_t all_segments_max = std::uint64_t{1} << 44;  // of 47 bits
  const std::uint64_t segments = shape.seats + std::uint64_t{2};
  std::uint64_t range = std::min(wanted, all_segments_max / segments);
  rlimit r{};
  for (const auto which : {RLIMIT_AS, RLIMIT_FSIZE}) {
    if (::getrlimit(which, &r) != 0 || r.rlim_cur == RLIM_INFINITY) continue;
    const std::uint64_t share = which == RLIMIT_AS ? r.rlim_cur / 4 / segments : r.rlim_cur;
    range = std::min(range, share);
  }
  return range;
}

/// Address space for a segment: all that the pool may hold, and what it starts with at least.
std::uint64_t address_range(const Arena::Shape& shape, std::uint64_t limit) noexcept {
  const std::uint64_t range = range_within_limits(shape, limit);
  const shm::ManagerLayout layout{shape.seats, shape.capacity};
  const std::uint64_t least =
      std::max(layout.arguments() + shm::argument_bytes_start,
               shm::WorkerLayout{shape.capacity}.results() + shm::result_bytes_start);
  return shm::align_up(std::max(range, least), shm::page_bytes);
}

/// More than arrays may hold, since what is free lies in pieces.
std::uint64_t array_range(const Arena::Shape& shape, std::uint64_t limit) noexcept {
  const std::uint64_t most = ~std::uint64_t{0} / shm::array_range_factor;
  const std::uint64_t range =
      range_within_limits(shape, std::min(limit, most) * shm::array_range_factor);
  return std::max(range, std::uint64_t{shm::growth_bytes_min});
}

}  // namespace

shm::SegmentHeader Arena::header(shm::SegmentKind kind) const noexcept {
  shm::SegmentHeader header{};
  header.kind = kind;
  header.layout = shm::layout_number();
  header.pool = pool_;
  return header;
}

Arena::Arena(const Shape& shape, std::uint64_t limit_bytes)
    : pool_(random_number()),
      layout_{shape.seats, shape.capacity},
      worker_layout_{shape.capacity},
      bell_layout_{shape.seats, shape.capacity},
      limit_(limit_or_default(shape, limit_bytes)),
      range_(address_range(shape, limit_)),
      local_(shape.local),
      manager_(std::make_shared<shm::Segment>(
          "pinion-manager", range_, layout_.arguments() + shm::argument_bytes_start,
          shm::Sealed::future_read_only, header(shm::SegmentKind::manager),
          PROT_READ | PROT_WRITE)),
      bells_(std::make_shared<shm::Segment>(
          "pinion-bells", bell_layout_.bytes(), bell_layout_.bytes(), shm::Sealed::for_all,
          header(shm::SegmentKind::bells), PROT_READ | PROT_WRITE)),
      arrays_(std::make_shared<Arrays>(pool_, array_range(shape, limit_))),
      space_(layout_.arguments(), manager_->committed()),
      committed_(manager_->committed() + bells_->committed()) {}

WorkerSegment Arena::make_worker_segment(unsigned worker, std::uint32_t generation,
                                         int numa_node) const {
  shm::SegmentHeader h = header(shm::SegmentKind::worker);
  h.worker = worker;
  h.generation = generation;
  // Before it is committed, and for what is committed later: a page stays where it is first.
  topology::MemoryBinding memory;
  const auto bind = [&](std::byte* begin, std::uint64_t size) {
    memory = topology::bind_memory(begin, size, numa_node);
  };
  auto segment = std::make_shared<shm::Segment>(
      "pinion-worker", range_, worker_layout_.results() + shm::result_bytes_start,
      shm::Sealed::for_all, h, local_ ? PROT_READ | PROT_WRITE : PROT_READ, bind);
  return {std::move(segment), std::move(memory)};
}

/// How much more the limit allows.
std::uint64_t Arena::room() const noexcept { return limit_ - std::min(limit_, committed()); }

bool Arena::reserve_array(std::uint64_t bytes) noexcept {
  if (bytes > limit_) return false;  // also keeps the rounding from wrapping
  if (Arrays::rounded(bytes) > room()) arrays_->sweep();
  if (Arrays::rounded(bytes) > room()) return false;
  arrays_->reserve(bytes);
  return true;
}

bool Arena::extend(shm::Segment& segment, std::uint64_t bytes) noexcept {
  if (bytes + shm::Space::page_bytes > room()) arrays_->sweep();
  const std::uint64_t room = std::min(segment.size() - segment.committed(), this->room());
  // Doubling, so that few extensions do; page-sized, so that a small block's page fits as well.
  std::uint64_t more = std::max({bytes + shm::Space::page_bytes,
                                 std::uint64_t{shm::growth_bytes_min}, segment.committed() / 2});
  if (more > room) more = bytes + shm::Space::page_bytes;
  more = shm::align_up(more, shm::page_bytes);
  if (more > room || more < bytes) return false;
  try {
    segment.commit(segment.committed() + more);
  } catch (const std::exception&) {
    return false;
  }
  committed_ += more;
  return true;
}

std::optional<std::uint64_t> Arena::take_arguments(std::uint64_t bytes) {
  if (auto offset = space_.take(bytes)) return offset;
  if (!could_hold(bytes) || !extend(*manager_, shm::Space::rounded(bytes))) return std::nullopt;
  space_.extend(manager_->committed());
  return space_.take(bytes);
}

bool Arena::could_hold(std::uint64_t bytes) const noexcept {
  const std::uint64_t most = std::min(manager_->size(), limit_);
  return bytes < most && bytes + layout_.arguments() + shm::Space::page_bytes <= most;
}

}  // namespace pinion::pool
