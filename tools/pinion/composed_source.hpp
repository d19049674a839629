// Sources made of other sources: all combinations, items that go together, columns of lines,
// several arguments a job.
#pragma once

#include <boost/regex.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "input_source.hpp"

namespace pinion::command {

/// All combinations of the sources' items; the last source varies fastest. The first one is read as
/// the jobs are made; what the others give is kept in memory.
class Combination final : public InputSource {
 public:
  /// `sources` is not empty.
  explicit Combination(std::vector<std::unique_ptr<InputSource>> sources);

  Next next(std::vector<std::string>& arguments) override;
  [[nodiscard]] int descriptor() const noexcept override;
  [[nodiscard]] std::optional<std::uint64_t> total() const override;
  [[nodiscard]] bool is_finite() const noexcept override;
  [[nodiscard]] std::string nothing() const override;
  [[nodiscard]] std::string position() const override { return sources_.front()->position(); }

 private:
  using Items = std::vector<std::vector<std::string>>;
  Next load();

  std::vector<std::unique_ptr<InputSource>> sources_;
  std::vector<Items> kept_;      // of all sources but the first
  std::size_t loaded_ = 0;       // how many of `kept_` are complete
  std::size_t waiting_ = 0;      // the source that was pending
  std::vector<std::size_t> at_;  // which of `kept_` come next
  bool in_round_ = false;        // `first_` has not met all the others yet
  std::vector<std::string> first_;
};

/// The first items of all sources, then the second ones, as far as the shortest goes.
class Linked final : public InputSource {
 public:
  /// `sources` is not empty.
  explicit Linked(std::vector<std::unique_ptr<InputSource>> sources) noexcept
      : sources_(std::move(sources)) {}

  Next next(std::vector<std::string>& arguments) override;
  [[nodiscard]] int descriptor() const noexcept override { return sources_[at_]->descriptor(); }
  [[nodiscard]] std::optional<std::uint64_t> total() const override;
  [[nodiscard]] bool is_finite() const noexcept override;
  [[nodiscard]] std::string nothing() const override { return sources_[at_]->nothing(); }
  [[nodiscard]] std::string position() const override { return sources_.front()->position(); }

 private:
  std::vector<std::unique_ptr<InputSource>> sources_;
  std::size_t at_ = 0;                 // the source that gives next
  std::vector<std::string> gathered_;  // from those before it
  std::vector<std::string> item_;      // scratch
};

/// Cuts each item of a source into columns, whose ends are trimmed.
class Columns final : public InputSource {
 public:
  /// `separator`: a Perl regular expression. Throws UsageError for one that is none.
  Columns(std::unique_ptr<InputSource> source, const std::string& separator);

  Next next(std::vector<std::string>& arguments) override;
  [[nodiscard]] int descriptor() const noexcept override { return source_->descriptor(); }
  [[nodiscard]] std::optional<std::uint64_t> total() const override { return source_->total(); }
  [[nodiscard]] bool is_finite() const noexcept override { return source_->is_finite(); }
  [[nodiscard]] std::string nothing() const override { return source_->nothing(); }
  [[nodiscard]] std::string position() const override { return source_->position(); }

 private:
  std::unique_ptr<InputSource> source_;
  boost::regex separator_;
  std::vector<std::string> item_;  // scratch
};

/// Gives the arguments of `count` items to one job; the last one may get fewer. With a count of 0,
/// an item is a job without arguments.
class Grouped final : public InputSource {
 public:
  Grouped(std::unique_ptr<InputSource> source, std::uint64_t count) noexcept
      : source_(std::move(source)), count_(count) {}

  Next next(std::vector<std::string>& arguments) override;
  [[nodiscard]] int descriptor() const noexcept override { return source_->descriptor(); }
  [[nodiscard]] std::optional<std::uint64_t> total() const override;
  [[nodiscard]] bool is_finite() const noexcept override { return source_->is_finite(); }
  [[nodiscard]] std::string nothing() const override { return source_->nothing(); }
  [[nodiscard]] std::string position() const override { return source_->position(); }

 private:
  std::unique_ptr<InputSource> source_;
  std::uint64_t count_;
  std::uint64_t items_ = 0;  // in `gathered_`
  std::vector<std::string> gathered_;
  std::vector<std::string> item_;  // scratch
};

}  // namespace pinion::command
