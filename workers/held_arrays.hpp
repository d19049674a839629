// The shared arrays that a worker has handles of, and the marks by which the manager knows.
//
// Thread safety: any thread may drop a handle.
#pragma once

#include <pinion/detail/array_block.hpp>

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "lib/os/fork_guard.hpp"
#include "workers/channel.hpp"

namespace pinion::workers {

class HeldArrays : public std::enable_shared_from_this<HeldArrays> {
 public:
  explicit HeldArrays(const Channel& channel) noexcept : arrays_(channel.arrays) {}

  /// A handle of the array of this name; marks it. Throws `EncodingError` where it is another
  /// pool's.
  detail::ArrayHandle find(const detail::ArrayName& name);
  /// The worker leaves: its marks are unmapped.
  void close() noexcept;

 private:
  struct Block;
  struct Held {
    std::weak_ptr<const detail::ArrayBlock> block;
    unsigned blocks = 0;  // that have not gone
  };

  void drop(std::uint32_t number) noexcept;

  const Channel::ArrayPart arrays_;
  os::ForkGuard guard_;
  std::mutex mutex_;                              // guards what follows
  std::unordered_map<std::uint32_t, Held> held_;  // by number; kept when the last handle goes
  bool closed_ = false;
};

}  // namespace pinion::workers
