// The memory of a shared array, as one process knows it, and how messages name it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

namespace pinion::detail {

/// How an array travels. Its memory lies at the same address in every process of the pool.
struct ArrayName {
  std::uint32_t pool = 0;        // of the pool's random number
  std::uint32_t number = 0;      // from 1; 0: no array
  std::uint32_t generation = 0;  // of the number
  std::uint32_t page = 0;        // of 4096 bytes, where it begins in the pool's array memory
  std::uint64_t bytes = 0;

  bool operator==(const ArrayName&) const = default;
};
static_assert(sizeof(ArrayName) == 24 && std::has_unique_object_representations_v<ArrayName>,
              "it travels in a slot, beside a small argument");

/// One array, for as long as a handle of this process lives. What is derived from it gives the
/// memory back.
struct ArrayBlock {
  std::byte* data = nullptr;
  ArrayName name;
};

using ArrayHandle = std::shared_ptr<const ArrayBlock>;
/// Arrays that must stay until a message that names them has been answered.
using ArrayHandles = std::vector<ArrayHandle>;

}  // namespace pinion::detail
