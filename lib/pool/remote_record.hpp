// The bytes of an exception on its way.
//
//   magic u32 | worker u32 | pid i32 | item u64 | backtrace text | number of levels u32 | levels
//   level: type name text | what text | number of forms u32 | forms
//   form:  mangled name of a known type text | its bytes text
//   text:  length u32 | bytes
//
// Level 0 is the exception itself, each next one what it is nested around. The forms of a level are
// tried in turn: its own type, when registered, then its nearest standard base. Written by the
// worker, in the byte order of the machine; nothing in it is trusted by the manager.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pinion::pool {

inline constexpr std::size_t remote_levels_max = 17;  // the exception, and 16 nested ones
inline constexpr std::size_t remote_forms_max = 2;
inline constexpr std::size_t type_name_bytes_max = 1024;
inline constexpr std::size_t backtrace_bytes_max = 16 * 1024;

/// Limits of one level: the exception itself may say more than those inside it.
struct LevelLimits {
  std::size_t what_bytes_max;
  std::size_t form_bytes_max;
};
inline constexpr LevelLimits outer_limits{64 * 1024, 16 * 1024};
inline constexpr LevelLimits nested_limits{4 * 1024, 4 * 1024};

struct RemoteForm {
  std::string name;
  std::string bytes;
};

struct RemoteLevel {
  std::string type_name;  // demangled
  std::string what;
  std::vector<RemoteForm> forms;
};

struct RemoteRecord {
  unsigned worker = 0;
  pid_t pid = 0;
  std::uint64_t item = 0;
  std::string backtrace;
  std::vector<RemoteLevel> levels;  // at least one
};

/// Numbers and texts, one after the other.
class TextWriter {
 public:
  void number(std::uint32_t value) { raw(&value, sizeof value); }
  void number(std::int32_t value) { raw(&value, sizeof value); }
  void number(std::uint64_t value) { raw(&value, sizeof value); }
  void text(std::string_view value);

  [[nodiscard]] const std::string& bytes() const noexcept { return bytes_; }

 private:
  void raw(const void* data, std::size_t size);

  std::string bytes_;
};

/// Reads what `TextWriter` wrote. Every read is checked: throws `EncodingError` where the bytes end
/// too early.
class TextReader {
 public:
  explicit TextReader(std::string_view bytes) noexcept : rest_(bytes) {}

  template <class Number>
  [[nodiscard]] Number number() {
    Number value;
    raw(&value, sizeof value);
    return value;
  }
  [[nodiscard]] std::string text();
  /// Throws `EncodingError` unless all has been read.
  void end() const;

 private:
  void raw(void* data, std::size_t size);

  std::string_view rest_;
};

/// The text, cut to about `bytes_max` with a note of how much is missing.
[[nodiscard]] std::string cut_text(std::string_view text, std::size_t bytes_max);

[[nodiscard]] std::vector<std::byte> write_record(const RemoteRecord& record);

/// Throws `EncodingError` for bytes that are no record.
[[nodiscard]] RemoteRecord read_record(std::span<const std::byte> bytes);

}  // namespace pinion::pool
