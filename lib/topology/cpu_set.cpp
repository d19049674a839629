#include "lib/topology/cpu_set.hpp"

#include <algorithm>
#include <bit>
#include <stdexcept>

#include "lib/topology/text_cursor.hpp"

namespace pinion::topology {
namespace {

constexpr unsigned word_bits = 64;

std::uint64_t bit_of(unsigned cpu) { return std::uint64_t{1} << (cpu % word_bits); }

}  // namespace

CpuSet::CpuSet(std::initializer_list<unsigned> cpus) {
  for (const unsigned cpu : cpus) add(cpu);
}

CpuSet CpuSet::range(unsigned first, unsigned last) {
  CpuSet set;
  for (unsigned cpu = first; cpu <= last; ++cpu) set.add(cpu);
  return set;
}

CpuSet CpuSet::parse(std::string_view list) {
  TextCursor cursor("CPU list", list);
  CpuSet set;
  if (cursor.at_end()) return set;
  do {
    const unsigned first = cursor.number(cpu_limit - 1, "a CPU number");
    unsigned last = first;
    if (cursor.accept('-')) {
      const std::size_t second = cursor.position();
      last = cursor.number(cpu_limit - 1, "the last CPU of the range");
      if (last < first) {
        cursor.go_to(second);
        cursor.fail("a CPU number not below " + std::to_string(first));
      }
    }
    set |= range(first, last);
  } while (cursor.accept(','));
  if (!cursor.at_end()) cursor.fail("',' or the end of the text");
  return set;
}

CpuSet CpuSet::from_words(std::span<const std::uint64_t> words) {
  CpuSet set;
  const auto used = words.first(std::min<std::size_t>(words.size(), cpu_limit / word_bits));
  set.words_.assign(used.begin(), used.end());
  set.trim();
  return set;
}

void CpuSet::add(unsigned cpu) {
  if (cpu >= cpu_limit) {
    throw std::out_of_range("CPU " + std::to_string(cpu) + " is not below the limit of " +
                            std::to_string(cpu_limit));
  }
  if (cpu / word_bits >= words_.size()) words_.resize(cpu / word_bits + 1);
  words_[cpu / word_bits] |= bit_of(cpu);
}

void CpuSet::remove(unsigned cpu) noexcept {
  if (!contains(cpu)) return;
  words_[cpu / word_bits] &= ~bit_of(cpu);
  trim();
}

bool CpuSet::contains(unsigned cpu) const noexcept {
  return cpu / word_bits < words_.size() && (words_[cpu / word_bits] & bit_of(cpu)) != 0;
}

unsigned CpuSet::count() const noexcept {
  unsigned n = 0;
  for (const std::uint64_t word : words_) n += static_cast<unsigned>(std::popcount(word));
  return n;
}

std::vector<unsigned> CpuSet::members() const {
  std::vector<unsigned> cpus;
  cpus.reserve(count());
  for (std::size_t w = 0; w < words_.size(); ++w) {
    for (std::uint64_t rest = words_[w]; rest != 0; rest &= rest - 1) {
      cpus.push_back(static_cast<unsigned>(w * word_bits) +
                     static_cast<unsigned>(std::countr_zero(rest)));
    }
  }
  return cpus;
}

bool CpuSet::is_subset_of(const CpuSet& other) const noexcept {
  if (words_.size() > other.words_.size()) return false;
  for (std::size_t w = 0; w < words_.size(); ++w) {
    if ((words_[w] & ~other.words_[w]) != 0) return false;
  }
  return true;
}

bool CpuSet::intersects(const CpuSet& other) const noexcept {
  const std::size_t shared = std::min(words_.size(), other.words_.size());
  for (std::size_t w = 0; w < shared; ++w) {
    if ((words_[w] & other.words_[w]) != 0) return true;
  }
  return false;
}

CpuSet& CpuSet::operator&=(const CpuSet& other) noexcept {
  if (words_.size() > other.words_.size()) words_.resize(other.words_.size());
  for (std::size_t w = 0; w < words_.size(); ++w) words_[w] &= other.words_[w];
  trim();
  return *this;
}

CpuSet& CpuSet::operator|=(const CpuSet& other) {
  if (words_.size() < other.words_.size()) words_.resize(other.words_.size());
  for (std::size_t w = 0; w < other.words_.size(); ++w) words_[w] |= other.words_[w];
  return *this;
}

CpuSet& CpuSet::operator-=(const CpuSet& other) noexcept {
  const std::size_t shared = std::min(words_.size(), other.words_.size());
  for (std::size_t w = 0; w < shared; ++w) words_[w] &= ~other.words_[w];
  trim();
  return *this;
}

std::string CpuSet::text() const {
  std::string out;
  const std::vector<unsigned> cpus = members();
  for (std::size_t i = 0; i < cpus.size();) {
    std::size_t end = i + 1;
    while (end < cpus.size() && cpus[end] == cpus[end - 1] + 1) ++end;
    if (!out.empty()) out += ',';
    out += std::to_string(cpus[i]);
    if (end - i > 1) out += '-' + std::to_string(cpus[end - 1]);
    i = end;
  }
  return out;
}

void CpuSet::trim() noexcept {
  while (!words_.empty() && words_.back() == 0) words_.pop_back();
}

}  // namespace pinion::topology
