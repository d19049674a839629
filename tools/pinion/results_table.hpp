// The outputs of jobs as the rows of a table, as `--results D.csv` wants them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "descriptor.hpp"
#include "output.hpp"

namespace pinion::command {

/// What a row says of a job besides its outputs.
struct TableRow {
  std::uint64_t sequence = 0;
  double start_time = 0;       ///< seconds since 1970
  double run_time = 0;         ///< seconds
  std::uint64_t received = 0;  ///< bytes of standard output
  int exit_value = 0;
  int signal = 0;
  std::string_view command;
  std::span<const std::string> arguments;
};

/// GNU parallel's columns and quoting: Seq, Host, Starttime, JobRuntime, Send, Receive, Exitval,
/// Signal, Command, V1, V2, ..., Stdout, Stderr.
class ResultsTable {
 public:
  /// The separator of a name that ends in .csv or .tsv; nothing for others.
  [[nodiscard]] static std::optional<char> separator_of(std::string_view name) noexcept {
    if (name.ends_with(".csv")) return ',';
    if (name.ends_with(".tsv")) return '\t';
    return std::nullopt;
  }

  /// Makes the file ("-.csv" is standard output); with `goes_on`, keeps its whole rows. Throws
  /// WriteError.
  ResultsTable(const std::string& name, char separator, bool goes_on);

  /// Where rows are to be written.
  [[nodiscard]] int descriptor() const noexcept { return file_.get(); }
  /// The row of a job. Before the first one the header is written. Throws WriteError.
  [[nodiscard]] StreamOutput row(const TableRow& job, JobOutput&& output);

 private:
  void write_header(std::size_t arguments);

  std::string name_;
  char separator_;
  bool has_header_ = false;
  Descriptor file_;
};

}  // namespace pinion::command
