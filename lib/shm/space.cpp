#include "lib/shm/space.hpp"

#include <algorithm>

#include "lib/os/ensure.hpp"

namespace pinion::shm {

namespace {

constexpr std::uint64_t extent_align = 4096;
constexpr std::array<std::uint64_t, 15> class_bytes = {
    64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 5440, 6528, 8192};

constexpr std::uint64_t round_up(std::uint64_t n, std::uint64_t align) noexcept {
  return (n + align - 1) / align * align;
}

}  // namespace

Space::Space(std::uint64_t begin, std::uint64_t end) : begin_(begin), end_(begin) { extend(end); }

void Space::extend(std::uint64_t end) {
  PINION_ENSURE(end >= end_);
  if (end == end_) return;
  reserve_nodes();
  const std::uint64_t from = end_;
  end_ = end;
  join_free(from, end - from);
}

std::size_t Space::class_of(std::uint64_t bytes) noexcept {
  if (bytes <= 256) return bytes == 0 ? 0 : (bytes - 1) / 64;
  return static_cast<std::size_t>(
      std::lower_bound(class_bytes.begin() + 4, class_bytes.end(), bytes) - class_bytes.begin());
}

std::uint64_t Space::rounded(std::uint64_t bytes) noexcept {
  return bytes <= small_max ? class_bytes[class_of(bytes)] : round_up(bytes, extent_align);
}

std::optional<std::uint64_t> Space::take(std::uint64_t bytes) {
  if (bytes > small_max) {
    if (bytes > end_ - begin_) return std::nullopt;  // also keeps the rounding from wrapping
    const auto offset = take_extent(round_up(bytes, extent_align), extent_align);
    if (offset) used_ += round_up(bytes, extent_align);
    return offset;
  }
  const std::size_t size_class = class_of(bytes);
  Page* page = page_for(size_class);
  if (page == nullptr) return std::nullopt;
  const std::uint64_t size = class_bytes[size_class];
  std::uint64_t number = 0;
  if (!page->free.empty()) {
    number = page->free.back();
    page->free.pop_back();
  } else {
    number = page->fresh++;
  }
  ++page->used;
  used_ += size;
  if (page->free.empty() && page->fresh == page_bytes / size) {
    open_[size_class].pop_back();  // page_for returns the last one
    page->listed = false;
  }
  return page->begin + number * size;
}

void Space::give(std::uint64_t offset, std::uint64_t bytes) noexcept {
  if (bytes > small_max) {
    const std::uint64_t size = round_up(bytes, extent_align);
    used_ -= size;
    give_extent(offset, size);
    return;
  }
  const std::size_t size_class = class_of(bytes);
  const std::uint64_t size = class_bytes[size_class];
  Page* page = pages_[offset / page_bytes].get();
  PINION_ENSURE(page != nullptr && page->size_class == size_class && page->used > 0);
  page->free.push_back(static_cast<std::uint16_t>((offset - page->begin) / size));
  --page->used;
  used_ -= size;
  if (!page->listed) {
    page->listed = true;
    open_[size_class].push_back(page);
  }
  // The last open page of a class stays, so that a lone block does not make and drop it each time.
  if (page->used == 0 && open_[size_class].size() > 1) release_page(*page);
}

Space::Page* Space::page_for(std::size_t size_class) {
  auto& open = open_[size_class];
  if (!open.empty()) return open.back();
  auto page = std::make_unique<Page>();
  page->size_class = static_cast<std::uint32_t>(size_class);
  page->listed = true;
  page->free.reserve(page_bytes / class_bytes[size_class]);
  const std::size_t pages_max = end_ / page_bytes + 1;
  if (pages_.size() < pages_max) pages_.resize(pages_max);
  open.reserve(pages_made_[size_class] + 1);  // listing a page again needs no memory
  const auto begin = take_extent(page_bytes, page_bytes);
  if (!begin) return nullptr;
  ++pages_made_[size_class];
  page->begin = *begin;
  const std::size_t number = *begin / page_bytes;
  pages_[number] = std::move(page);
  open.push_back(pages_[number].get());
  return open.back();
}

void Space::release_page(Page& page) noexcept {
  auto& open = open_[page.size_class];
  open.erase(std::find(open.begin(), open.end(), &page));
  --pages_made_[page.size_class];
  const std::uint64_t begin = page.begin;
  pages_[begin / page_bytes].reset();
  give_extent(begin, page_bytes);
}

/// Taking an extent may leave two free ones where there was one.
void Space::reserve_nodes() {
  const std::size_t wanted = extents_taken_ + 3;
  const std::size_t all = std::max(wanted, spare_by_offset_.size()) + by_offset_.size();
  spare_by_offset_.reserve(all);
  spare_by_size_.reserve(all);
  while (spare_by_offset_.size() < wanted) {
    ByOffset one{{0, 0}};
    spare_by_offset_.push_back(one.extract(one.begin()));
  }
  while (spare_by_size_.size() < wanted) {
    BySize one{{0, 0}};
    spare_by_size_.push_back(one.extract(one.begin()));
  }
}

void Space::add_free(std::uint64_t offset, std::uint64_t bytes) noexcept {
  auto& by_offset = spare_by_offset_.back();
  by_offset.key() = offset;
  by_offset.mapped() = bytes;
  by_offset_.insert(std::move(by_offset));
  spare_by_offset_.pop_back();
  auto& by_size = spare_by_size_.back();
  by_size.value() = {bytes, offset};
  by_size_.insert(std::move(by_size));
  spare_by_size_.pop_back();
}

void Space::remove_free(std::uint64_t offset, std::uint64_t bytes) noexcept {
  spare_by_offset_.push_back(by_offset_.extract(offset));
  spare_by_size_.push_back(by_size_.extract({bytes, offset}));
}

std::optional<std::uint64_t> Space::take_extent(std::uint64_t bytes, std::uint64_t align) {
  reserve_nodes();
  for (auto it = by_size_.lower_bound({bytes, 0}); it != by_size_.end(); ++it) {
    const auto [size, offset] = *it;
    const std::uint64_t at = round_up(offset, align);
    if (at - offset > size - bytes) continue;
    remove_free(offset, size);
    if (at != offset) add_free(offset, at - offset);
    const std::uint64_t rest = offset + size - (at + bytes);
    if (rest != 0) add_free(at + bytes, rest);
    ++extents_taken_;
    return at;
  }
  return std::nullopt;
}

void Space::give_extent(std::uint64_t offset, std::uint64_t bytes) noexcept {
  --extents_taken_;
  join_free(offset, bytes);
}

/// Adds free memory, joined with what lies beside it.
void Space::join_free(std::uint64_t offset, std::uint64_t bytes) noexcept {
  const auto after = by_offset_.lower_bound(offset);
  PINION_ENSURE(after == by_offset_.end() || offset + bytes <= after->first);
  const bool joins_before =
      after != by_offset_.begin() && std::prev(after)->first + std::prev(after)->second == offset;
  PINION_ENSURE(after == by_offset_.begin() ||
                std::prev(after)->first + std::prev(after)->second <= offset);
  const auto before =
      joins_before ? *std::prev(after) : std::pair<const std::uint64_t, std::uint64_t>();
  if (after != by_offset_.end() && after->first == offset + bytes) {
    const std::uint64_t more = after->second;
    remove_free(after->first, more);
    bytes += more;
  }
  if (joins_before) {
    remove_free(before.first, before.second);
    offset = before.first;
    bytes += before.second;
  }
  add_free(offset, bytes);
}

}  // namespace pinion::shm
