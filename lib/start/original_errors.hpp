// What tasks threw in a thread of this process: the object itself, and not a copy of it.
//
// Messages carry bytes, so the object waits here, under a number that the message carries. The
// table is private memory of both sides; what nobody takes goes with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <mutex>
#include <new>
#include <span>
#include <unordered_map>
#include <vector>

namespace pinion::start {

class OriginalErrors {
 public:
  /// Worker: the bytes that stand for it. Empty where memory is short.
  [[nodiscard]] std::vector<std::byte> put(const std::exception_ptr& error) noexcept {
    try {
      Record record{magic, 0};
      {
        const std::lock_guard lock(mutex_);
        record.number = ++last_;
        errors_.emplace(record.number, error);
      }
      const auto* const bytes = reinterpret_cast<const std::byte*>(&record);
      return {bytes, bytes + sizeof record};
    } catch (const std::bad_alloc&) {
      return {};
    }
  }

  /// Manager: what the bytes stand for; null where they are no such record.
  [[nodiscard]] std::exception_ptr find(std::span<const std::byte> bytes) const noexcept {
    const std::lock_guard lock(mutex_);
    const auto it = errors_.find(number_in(bytes));
    return it != errors_.end() ? it->second : nullptr;
  }
  /// Manager: it has been delivered.
  void drop(std::span<const std::byte> bytes) noexcept {
    std::exception_ptr last;  // it may be the user's destructor that runs: not under the lock
    const std::lock_guard lock(mutex_);
    const auto it = errors_.find(number_in(bytes));
    if (it == errors_.end()) return;
    last = std::move(it->second);
    errors_.erase(it);
  }

 private:
  struct Record {
    std::uint64_t magic;
    std::uint64_t number;
  };
  static constexpr std::uint64_t magic = 0x6c616e696769726f;  // "original" in memory order

  static std::uint64_t number_in(std::span<const std::byte> bytes) noexcept {
    Record record{};
    if (bytes.size() != sizeof record) return 0;
    std::memcpy(&record, bytes.data(), sizeof record);
    return record.magic == magic ? record.number : 0;
  }

  mutable std::mutex mutex_;
  std::unordered_map<std::uint64_t, std::exception_ptr> errors_;
  std::uint64_t last_ = 0;
};

}  // namespace pinion::start
