#include "composed_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "errors.hpp"

namespace pinion::command {
namespace {

std::string trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\n\r\f\v";
  const std::size_t begin = std::min(text.find_first_not_of(blanks), text.size());
  const std::size_t end = text.find_last_not_of(blanks) + 1;
  return std::string(text.substr(begin, std::max(begin, end) - begin));
}

void append(std::vector<std::string>& to, const std::vector<std::string>& items) {
  to.insert(to.end(), items.begin(), items.end());
}

}  // namespace

Combination::Combination(std::vector<std::unique_ptr<InputSource>> sources)
    : sources_(std::move(sources)), kept_(sources_.size() - 1), at_(sources_.size() - 1) {}

// item: all sources but the first are in memory.
InputSource::Next Combination::load() {
  std::vector<std::string> item;
  for (; loaded_ < kept_.size(); ++loaded_) {
    waiting_ = loaded_ + 1;
    Next given = Next::item;
    while ((given = sources_[waiting_]->next(item)) == Next::item) {
      kept_[loaded_].push_back(item);
    }
    if (given == Next::pending) return given;
  }
  const bool empty =
      std::any_of(kept_.begin(), kept_.end(), [](const Items& items) { return items.empty(); });
  return empty ? Next::end : Next::item;
}

InputSource::Next Combination::next(std::vector<std::string>& arguments) {
  if (const Next loaded = load(); loaded != Next::item) return loaded;
  if (!in_round_) {
    waiting_ = 0;
    if (const Next given = sources_.front()->next(first_); given != Next::item) return given;
    in_round_ = true;
  }
  arguments = first_;
  for (std::size_t i = 0; i < kept_.size(); ++i) append(arguments, kept_[i][at_[i]]);
  for (std::size_t i = kept_.size(); i-- > 0;) {
    if (++at_[i] < kept_[i].size()) return Next::item;
    at_[i] = 0;
  }
  in_round_ = false;
  return Next::item;
}

int Combination::descriptor() const noexcept { return sources_[waiting_]->descriptor(); }

std::optional<std::uint64_t> Combination::total() const {
  std::uint64_t product = 1;
  for (const auto& source : sources_) {
    const std::optional<std::uint64_t> total = source->total();
    if (!total || __builtin_mul_overflow(product, *total, &product)) return std::nullopt;
  }
  return product;
}

bool Combination::is_finite() const noexcept {
  return std::all_of(sources_.begin(), sources_.end(),
                     [](const auto& source) { return source->is_finite(); });
}

std::string Combination::nothing() const {
  for (std::size_t i = 0; i < loaded_; ++i) {
    if (kept_[i].empty()) return sources_[i + 1]->nothing();
  }
  return sources_.front()->nothing();
}

InputSource::Next Linked::next(std::vector<std::string>& arguments) {
  for (; at_ < sources_.size(); ++at_) {
    if (const Next given = sources_[at_]->next(item_); given != Next::item) return given;
    append(gathered_, item_);
  }
  at_ = 0;
  arguments = std::exchange(gathered_, {});
  return Next::item;
}

std::optional<std::uint64_t> Linked::total() const {
  std::optional<std::uint64_t> least;
  for (const auto& source : sources_) {
    const std::optional<std::uint64_t> total = source->total();
    if (!total) return std::nullopt;
    least = std::min(*total, least.value_or(*total));
  }
  return least;
}

bool Linked::is_finite() const noexcept {
  return std::all_of(sources_.begin(), sources_.end(),
                     [](const auto& source) { return source->is_finite(); });
}

Columns::Columns(std::unique_ptr<InputSource> source, const std::string& separator)
    : source_(std::move(source)) {
  try {
    separator_.assign(separator, boost::regex::perl);
  } catch (const boost::regex_error& error) {
    throw UsageError(fmt::format("--colsep '{}' is no regular expression: {}", separator,
                                 std::string_view(error.what()).substr(0, 200)));
  }
}

InputSource::Next Columns::next(std::vector<std::string>& arguments) {
  if (const Next given = source_->next(item_); given != Next::item) return given;
  arguments.clear();
  for (const std::string& text : item_) {
    std::size_t begin = 0;
    try {
      const boost::sregex_iterator end;
      for (boost::sregex_iterator at(text.begin(), text.end(), separator_); at != end; ++at) {
        if (at->length() == 0) continue;
        const auto position = static_cast<std::size_t>(at->position());
        arguments.push_back(trimmed(std::string_view(text).substr(begin, position - begin)));
        begin = position + static_cast<std::size_t>(at->length());
      }
    } catch (const std::runtime_error& error) {  // too much work for one line
      throw InputError(fmt::format("cannot cut {} into columns: {}", position(), error.what()));
    }
    arguments.push_back(trimmed(std::string_view(text).substr(begin)));
  }
  return Next::item;
}

InputSource::Next Grouped::next(std::vector<std::string>& arguments) {
  while (true) {
    const Next given = source_->next(item_);
    if (given == Next::pending) return given;
    if (given == Next::end && items_ == 0) return given;
    if (given == Next::item) {
      ++items_;
      if (count_ > 0) append(gathered_, item_);
    }
    if (given == Next::item && items_ < count_) continue;
    items_ = 0;
    arguments = std::exchange(gathered_, {});
    return Next::item;
  }
}

std::optional<std::uint64_t> Grouped::total() const {
  const std::optional<std::uint64_t> items = source_->total();
  if (!items || count_ <= 1) return items;
  return *items / count_ + (*items % count_ != 0 ? 1 : 0);
}

}  // namespace pinion::command
