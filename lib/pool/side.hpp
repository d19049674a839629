// What an entry needs beyond its line: large arguments and results, errors, maps, callbacks,
// limits.
#pragma once

#include <pinion/detail/pool_core.hpp>

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "lib/shm/segment.hpp"

namespace pinion::detail {

struct Side {
  // Until it is dispatched:
  std::vector<std::byte> arguments;  // encoded, where they do not fit the entry
  TaskOptions options;
  unsigned attempts = 0;  // that have failed and were followed by another
  ArrayHandles arrays;    // that the arguments name; the result may name them too

  // A result that stays in its worker's segment until it is given back:
  std::shared_ptr<shm::Segment> segment;
  unsigned worker = 0;
  std::uint32_t generation = 0;
  unsigned readers = 0;  // who decode it where it lies
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;

  std::vector<std::byte> owned;  // a result or remote error that was copied out
  std::exception_ptr error;      // made here
  std::unique_ptr<MapJob> job;
  std::vector<std::function<void()>> callbacks;
  std::vector<Watch> watches;

  Side* next_dead = nullptr;  // while it waits to be deleted

  std::mutex value_mutex;
  std::shared_ptr<void> value;  // decoded, for lvalue handles
};

}  // namespace pinion::detail
