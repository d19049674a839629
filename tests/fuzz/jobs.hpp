// Maps for programs of the hostile arena: they count what they are given, and keep it as real maps
// do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include <pinion/detail/pool_core.hpp>

namespace fuzz {

/// The types that results are decoded as.
inline constexpr unsigned result_types = 8;

struct JobShape {
  unsigned result_type = 0;
  std::uint32_t items = 1;
  std::uint32_t chunk_items = 0;
  std::uint32_t item_bytes = 4;
  bool coroutine = false;
};

class CountingJob : public pinion::detail::MapJob {
 public:
  /// Decodes what has arrived, as `get` does. Once.
  virtual void decode() = 0;
};
std::unique_ptr<CountingJob> make_job(const JobShape& shape);

/// Decodes bytes as a result of a single task.
void decode_value(unsigned result_type, std::span<const std::byte> bytes);

/// Bytes of values that all jobs took so far.
std::uint64_t value_bytes_taken() noexcept;

}  // namespace fuzz
