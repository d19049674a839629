// The ledger: where entries live. They may outlive the pool, for as long as a handle does.
//
// Taking is the pool's alone, under its lock. Giving back may be done by any thread that drops a
// last handle: a push onto a list that the taker empties whole (Treiber's stack without its ABA,
// since nothing is ever popped singly). The list's head word also counts, so that whoever brings
// back the last entry after the pool's end knows it, and takes the ledger down.
//
//   head word:  | orphaned 1 | given back, once orphaned: still out 31 | newest entry 32 |
#pragma once

#include <pinion/detail/entry.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace pinion::pool {

class Core;
using detail::LedgerEntry;

class Ledger {
 public:
  struct Discard {
    void operator()(Ledger* ledger) const noexcept { delete ledger; }
  };
  static std::unique_ptr<Ledger, Discard> make() {
    return std::unique_ptr<Ledger, Discard>(new Ledger);
  }
  /// The pool that it belongs to, and that it takes down in the end.
  void adopt(Core& core) noexcept { core_ = &core; }
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  /// A fresh entry. Called with the pool's lock held. Allocates only when all are taken.
  LedgerEntry& take();
  /// Any thread, once: nobody refers to the entry any more.
  static void give(LedgerEntry& entry) noexcept;
  /// The ledger of an entry.
  static Ledger& of(const LedgerEntry& entry) noexcept;
  /// The pool of an entry. It is there as long as the entry is, ended or not.
  [[nodiscard]] Core& core() const noexcept { return *core_; }

  /// The pool ends: the ledger now belongs to the entries that are still out, and goes with the
  /// last. Called once, by the pool's end; all entries are done.
  void orphan() noexcept;

 private:
  struct Chunk;
  Ledger() = default;
  ~Ledger() = default;
  void grow();
  void take_down() noexcept;

  static constexpr std::uint32_t none = 0xffff'ffff;
  static constexpr std::uint64_t orphaned_bit = std::uint64_t{1} << 63;
  static constexpr std::uint64_t count_one = std::uint64_t{1} << 32;
  static constexpr std::uint64_t count_mask = 0x7fff'ffffULL << 32;

  LedgerEntry& entry_at(std::uint32_t number) noexcept;

  Core* core_ = nullptr;
  std::vector<std::unique_ptr<Chunk, void (*)(Chunk*)>> chunks_;
  std::vector<std::uint32_t> free_;  // the taker's own
  std::uint32_t out_ = 0;            // taken and not seen back
  alignas(64) std::atomic<std::uint64_t> head_{none};
};

}  // namespace pinion::pool
