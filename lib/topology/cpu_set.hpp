// A set of CPU numbers, as large as the machine needs.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pinion::topology {

/// A set of CPUs by the kernel's numbers. A plain value; equal sets compare equal.
class CpuSet {
 public:
  /// CPU numbers lie below this: twice what any Linux can be built for (NR_CPUS is at most 8,192).
  static constexpr unsigned cpu_limit = 16'384;

  CpuSet() = default;
  CpuSet(std::initializer_list<unsigned> cpus);
  /// `first` to `last`, both included; empty when last < first.
  [[nodiscard]] static CpuSet range(unsigned first, unsigned last);
  /// A list as the kernel writes it ("0-7,16"); "" is the empty set. White space is skipped.
  /// Throws std::invalid_argument with the text, the position and what was expected.
  [[nodiscard]] static CpuSet parse(std::string_view list);
  /// A mask as sched_getaffinity fills it: bit b of word w is CPU 64 w + b. CPUs from `cpu_limit`
  /// on are dropped.
  [[nodiscard]] static CpuSet from_words(std::span<const std::uint64_t> words);

  /// Throws std::out_of_range at or above `cpu_limit`.
  void add(unsigned cpu);
  void remove(unsigned cpu) noexcept;
  [[nodiscard]] bool contains(unsigned cpu) const noexcept;
  [[nodiscard]] bool empty() const noexcept { return words_.empty(); }
  [[nodiscard]] unsigned count() const noexcept;
  /// The CPUs in rising order.
  [[nodiscard]] std::vector<unsigned> members() const;
  [[nodiscard]] bool is_subset_of(const CpuSet& other) const noexcept;
  [[nodiscard]] bool intersects(const CpuSet& other) const noexcept;

  CpuSet& operator&=(const CpuSet& other) noexcept;
  CpuSet& operator|=(const CpuSet& other);
  CpuSet& operator-=(const CpuSet& other) noexcept;
  friend CpuSet operator&(CpuSet a, const CpuSet& b) noexcept { return a &= b; }
  friend CpuSet operator|(CpuSet a, const CpuSet& b) { return a |= b; }
  friend CpuSet operator-(CpuSet a, const CpuSet& b) noexcept { return a -= b; }
  friend bool operator==(const CpuSet&, const CpuSet&) = default;

  /// As the kernel writes it: "0-7,16"; "" when empty.
  [[nodiscard]] std::string text() const;
  /// The mask, without trailing zero words: what sched_setaffinity takes.
  [[nodiscard]] std::span<const std::uint64_t> words() const noexcept { return words_; }

 private:
  void trim() noexcept;

  std::vector<std::uint64_t> words_;  // the last word is never zero, so equality is the default one
};

}  // namespace pinion::topology
