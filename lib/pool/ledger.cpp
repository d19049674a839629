#include "lib/pool/ledger.hpp"

#include <new>

#include "lib/pool/core.hpp"

namespace pinion::pool {

/// Entries lie in aligned chunks, so that an entry's address tells its ledger.
struct Ledger::Chunk {
  static constexpr std::uint32_t entries_max = 512;
  static constexpr std::size_t bytes = 64 * 1024;  // a power of two with room for a header

  Ledger* ledger;
  std::uint32_t first;  // number of its first entry
  alignas(64) LedgerEntry entries[entries_max];

  static Chunk& of(const LedgerEntry& entry) noexcept {
    const auto address = reinterpret_cast<std::uintptr_t>(&entry);
    return *reinterpret_cast<Chunk*>(address & ~(bytes - 1));
  }
};

Ledger& Ledger::of(const LedgerEntry& entry) noexcept { return *Chunk::of(entry).ledger; }

LedgerEntry& Ledger::entry_at(std::uint32_t number) noexcept {
  return chunks_[number / Chunk::entries_max]->entries[number % Chunk::entries_max];
}

void Ledger::grow() {
  static_assert(sizeof(Chunk) <= Chunk::bytes);
  void* memory = ::operator new (Chunk::bytes, std::align_val_t{Chunk::bytes});
  auto* chunk = new (memory) Chunk{};
  chunk->ledger = this;
  chunk->first = static_cast<std::uint32_t>(chunks_.size()) * Chunk::entries_max;
  chunks_.emplace_back(chunk, [](Chunk* c) {
    c->~Chunk();
    ::operator delete (c, std::align_val_t{Chunk::bytes});
  });
  free_.reserve(chunks_.size() * Chunk::entries_max);
  for (std::uint32_t i = Chunk::entries_max; i-- > 0;) free_.push_back(chunk->first + i);
}

LedgerEntry& Ledger::take() {
  if (free_.empty()) {
    const std::uint64_t word = head_.exchange(none, std::memory_order_acquire);
    for (auto number = static_cast<std::uint32_t>(word); number != none;) {
      free_.push_back(number);
      number = entry_at(number).next;
    }
    out_ -= static_cast<std::uint32_t>((word & count_mask) >> 32);
    if (free_.empty()) grow();
  }
  LedgerEntry& entry = entry_at(free_.back());
  free_.pop_back();
  ++out_;
  entry.state.store(0, std::memory_order_relaxed);
  entry.more_handles.store(0, std::memory_order_relaxed);
  entry.outcome = detail::Outcome::none;
  entry.bytes = 0;
  entry.side = nullptr;
  return entry;
}

void Ledger::give(LedgerEntry& entry) noexcept {
  Chunk& chunk = Chunk::of(entry);
  Ledger& ledger = *chunk.ledger;
  const auto number = chunk.first + static_cast<std::uint32_t>(&entry - chunk.entries);
  std::uint64_t word = ledger.head_.load(std::memory_order_relaxed);
  std::uint64_t next = 0;
  do {
    entry.next = static_cast<std::uint32_t>(word);
    const std::uint64_t counted = word & ~std::uint64_t{none};
    next = ((word & orphaned_bit) != 0 ? counted - count_one : counted + count_one) | number;
  } while (!ledger.head_.compare_exchange_weak(word, next, std::memory_order_acq_rel,
                                               std::memory_order_relaxed));
  // From here on the ledger may be gone, unless this was the last.
  if ((next & orphaned_bit) != 0 && (next & count_mask) == 0) ledger.take_down();
}

void Ledger::take_down() noexcept {
  Core* const core = core_;
  delete this;
  delete core;
}

void Ledger::orphan() noexcept {
  std::uint64_t word = head_.load(std::memory_order_acquire);
  std::uint64_t left = 0;
  do {
    left = out_ - ((word & count_mask) >> 32);
    if (left == 0) return take_down();  // no handle is left, so nobody else comes here
  } while (!head_.compare_exchange_weak(word, orphaned_bit | left << 32 | none,
                                        std::memory_order_acq_rel));
  // From here on the ledger is the handles': the last one may have taken it down already.
}

}  // namespace pinion::pool
