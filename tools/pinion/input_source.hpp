// Where a run's arguments come from.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "descriptor.hpp"
#include "job_name.hpp"

namespace pinion::command {

/// A job of an earlier run.
struct LoggedJob {
  std::uint64_t sequence = 0;
  std::string command{};
  JobName name{};
};

/// Gives the arguments of one job after the other.
class InputSource {
 public:
  enum class Next {
    item,     ///< `arguments` holds the next job's
    pending,  ///< nothing yet: ask again when `descriptor()` is readable
    end,
  };

  virtual ~InputSource() = default;
  /// Throws InputError; what was given before stays good.
  virtual Next next(std::vector<std::string>& arguments) = 0;
  /// What to poll after `pending`; -1 where that never comes.
  [[nodiscard]] virtual int descriptor() const noexcept { return -1; }
  /// How many jobs there are in all, where that can be told without reading a stream.
  [[nodiscard]] virtual std::optional<std::uint64_t> total() const { return std::nullopt; }
  /// Whether the rest can be read without waiting for somebody to write it.
  [[nodiscard]] virtual bool is_finite() const noexcept { return true; }
  /// A sentence for a source that had nothing to give.
  [[nodiscard]] virtual std::string nothing() const = 0;
  /// "line 3 of names.txt" or "argument 3": the item that `next` gave last, for messages.
  [[nodiscard]] virtual std::string position() const = 0;
  /// Where the item that `next` gave last comes from a log; null: it does not.
  [[nodiscard]] virtual const LoggedJob* logged() const noexcept { return nullptr; }
};

/// All combinations of the lists' elements; the last list varies fastest.
class ArgumentLists final : public InputSource {
 public:
  explicit ArgumentLists(std::vector<std::vector<std::string>> lists);

  Next next(std::vector<std::string>& arguments) override;
  [[nodiscard]] std::optional<std::uint64_t> total() const override { return total_; }
  [[nodiscard]] std::string nothing() const override;
  [[nodiscard]] std::string position() const override;

 private:
  std::vector<std::vector<std::string>> lists_;
  std::uint64_t total_ = 0;  // saturates
  std::uint64_t given_ = 0;
};

/// The lines of a file or stream, one argument each. Holds no more than one line and one block.
class Lines final : public InputSource {
 public:
  /// A longer line could not be executed in any way: the kernel takes 2 MiB of arguments by default
  /// and 128 KiB in one of them.
  static constexpr std::size_t line_bytes_max = std::size_t{4} << 20;

  /// Opens `path` ("-" is standard input). Throws InputError.
  static std::unique_ptr<Lines> open(const std::string& path, char delimiter);
  /// Takes lines from `fd`, which is called `name` in messages.
  Lines(Descriptor fd, std::string name, char delimiter);

  Next next(std::vector<std::string>& arguments) override;
  [[nodiscard]] int descriptor() const noexcept override { return fd_.get(); }
  /// Counts the lines of a regular file; reads it once, without moving its position.
  [[nodiscard]] std::optional<std::uint64_t> total() const override;
  [[nodiscard]] bool is_finite() const noexcept override { return regular_file_; }
  [[nodiscard]] std::string nothing() const override { return name_ + " is empty"; }
  [[nodiscard]] std::string position() const override;

 private:
  bool take_line(std::string& line);
  Next fill();

  Descriptor fd_;
  std::string name_;
  char delimiter_;
  bool regular_file_ = false;
  bool at_end_ = false;
  std::uint64_t line_ = 0;
  std::string buffer_;
  std::size_t taken_ = 0;    // of buffer_: given out
  std::size_t scanned_ = 0;  // of buffer_: known to hold no delimiter after taken_
};

}  // namespace pinion::command
