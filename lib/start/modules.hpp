// Code travels as {module, offset}: a module is a program or shared library, named by build-id and
// path in a table that the manager writes and that only grows. So address layouts do not matter,
// and nothing is registered.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "lib/shm/arena_layout.hpp"

namespace pinion::start {

struct CodeToken {
  std::uint16_t module = 0;
  std::uint32_t offset = 0;

  [[nodiscard]] std::uint64_t packed() const noexcept {
    return static_cast<std::uint64_t>(module) << 32 | offset;
  }
  static CodeToken unpack(std::uint64_t packed) noexcept {
    return {static_cast<std::uint16_t>(packed >> 32), static_cast<std::uint32_t>(packed)};
  }
};

/// The manager's side: addresses to tokens. Any thread.
class ModuleTable {
 public:
  /// `entries` lies in the manager's segment and is zeroed.
  explicit ModuleTable(shm::ModuleEntry* entries) noexcept : entries_(entries) {}

  /// The token of a function in this process. A cached address costs one load and a compare; a new
  /// one a walk over the loaded modules. Throws `EncodingError` where the address is no code of a
  /// loaded module.
  CodeToken token_of(const void* code) {
    const Known* known = cache_[slot_of(code)].load(std::memory_order_acquire);
    if (known != nullptr && known->code == code) [[likely]]
      return known->token;
    return find(code);
  }

 private:
  struct Known {
    const void* code;
    CodeToken token;
  };
  static std::size_t slot_of(const void* code) noexcept {
    const auto bits = reinterpret_cast<std::uintptr_t>(code);
    return (bits >> 4 ^ bits >> 12) % cache_slots;
  }
  CodeToken find(const void* code);
  struct Module {
    std::uintptr_t base = 0;
    bool is_program = false;
    std::string path;
    std::vector<std::uint8_t> build_id;
  };
  std::uint16_t number_of(const Module& module);

  static constexpr std::size_t cache_slots = 256;
  shm::ModuleEntry* entries_;
  std::array<std::atomic<const Known*>, cache_slots> cache_{};
  std::mutex mutex_;
  std::deque<Known> known_;            // addresses stay valid
  std::vector<std::uintptr_t> bases_;  // of the modules in the table
};

/// The worker's side: tokens to addresses.
class ModuleView {
 public:
  explicit ModuleView(const shm::ModuleEntry* entries) noexcept : entries_(entries) {}

  /// Finds the module among the loaded ones, or loads it by its path and checks its build-id.
  /// Throws `EncodingError` that says what is wrong.
  void* address_of(CodeToken token) {
    if (token.module < bases_.size() && bases_[token.module]) [[likely]] {
      return reinterpret_cast<void*>(*bases_[token.module] + token.offset);
    }
    return resolve(token);
  }

 private:
  void* resolve(CodeToken token);

  const shm::ModuleEntry* entries_;
  std::vector<std::optional<std::uintptr_t>> bases_;  // of a program at fixed addresses: 0
};

}  // namespace pinion::start
