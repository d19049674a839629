// A handle of a ledger's entry.
#pragma once

#include <pinion/detail/pool_core.hpp>

#include <atomic>
#include <stdexcept>
#include <utility>

namespace pinion::detail {

/// One of the handles of an entry. The last one gives it back.
class EntryHandle {
 public:
  EntryHandle() noexcept = default;
  explicit EntryHandle(LedgerEntry* entry) noexcept : entry_(entry) {}
  EntryHandle(const EntryHandle& other) noexcept : entry_(other.entry_) {
    if (entry_ != nullptr) entry_->more_handles.fetch_add(1, std::memory_order_relaxed);
  }
  EntryHandle(EntryHandle&& other) noexcept : entry_(std::exchange(other.entry_, nullptr)) {}
  EntryHandle& operator=(EntryHandle other) noexcept {
    std::swap(entry_, other.entry_);
    return *this;
  }
  ~EntryHandle() {
    if (entry_ == nullptr) return;
    // Alone, nobody else can copy the handle, so that no read-modify-write is needed.
    if (unique() || entry_->more_handles.fetch_sub(1, std::memory_order_acq_rel) == 0) {
      drop_entry(*entry_);
    }
  }

  [[nodiscard]] bool unique() const noexcept {
    return entry_->more_handles.load(std::memory_order_acquire) == 0;
  }
  [[nodiscard]] LedgerEntry& entry() const {
    if (entry_ == nullptr) [[unlikely]]
      throw std::logic_error("pinion::AsyncResult: this handle is empty or was moved from");
    return *entry_;
  }
  explicit operator bool() const noexcept { return entry_ != nullptr; }

 private:
  LedgerEntry* entry_ = nullptr;
};

}  // namespace pinion::detail
