// Output that is too large to travel in a result: the worker keeps it in an unlinked file and hands
// the descriptor to the command.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "descriptor.hpp"

namespace pinion::command {

enum class Stream : std::uint16_t { out, err };
enum class SpillKind : std::uint16_t { file, text };

/// Where workers hand their files in.
struct SpillAddress {
  sockaddr_un address{};
  socklen_t length = 0;
};

/// What travels beside the descriptor, or before the text.
struct SpillNote {
  std::uint64_t sequence = 0;
  std::uint32_t place = 0;  ///< on the board
  Stream stream = Stream::out;
  SpillKind kind = SpillKind::file;
};
static_assert(sizeof(SpillNote) == 16, "it is sent as bytes");

/// How much text travels at once: less than what a socket's buffer holds at least.
constexpr std::size_t spill_text_bytes_max = 32 * 1024;

/// The command's end: listens on a socket of a random name that only this machine's kernel knows.
class SpillReceiver {
 public:
  /// Throws std::system_error.
  SpillReceiver();

  [[nodiscard]] const SpillAddress& address() const noexcept { return address_; }
  /// Who may hand files in: asked for the pid of each that connects.
  void trust(std::function<bool(pid_t)> is_worker) { is_worker_ = std::move(is_worker); }
  /// The file of one job's stream, which its worker has sent before the job's result; empty where
  /// there is none.
  [[nodiscard]] Descriptor take(std::uint64_t sequence, Stream stream);
  /// Text that comes before its job has ended is given to `take_text`.
  void on_text(std::function<void(const SpillNote&, std::string_view)> take_text) {
    take_text_ = std::move(take_text);
  }
  /// Receives all that was sent until now. For texts; files are received by `take`.
  void receive_all();
  /// Adds what to wait for until there is more to receive.
  void watch(std::vector<pollfd>& watched) const;
  /// How many files wait to be taken.
  [[nodiscard]] std::size_t waiting() const noexcept { return files_.size(); }

 private:
  void accept_all();
  void receive_until(const std::pair<std::uint64_t, Stream>& wanted);
  bool receive_from(int connection);
  [[nodiscard]] bool is_trusted(int connection) const;

  SpillAddress address_;
  Descriptor listener_;
  std::function<bool(pid_t)> is_worker_;
  std::function<void(const SpillNote&, std::string_view)> take_text_;
  std::vector<Descriptor> connections_;  // one a worker, kept
  std::map<std::pair<std::uint64_t, Stream>, Descriptor> files_;
};

/// Where files for large outputs are made: $TMPDIR, else /tmp.
[[nodiscard]] std::string spill_folder();

/// An unlinked file in that folder. Throws std::system_error that names the folder.
[[nodiscard]] Descriptor make_spill_file();

/// This worker's connection to the command, made at the first call. Throws std::system_error.
[[nodiscard]] int spill_connection(const SpillAddress& address);

/// Sends without waiting. Returns 0 or an errno; EAGAIN: wait until `connection` can be written.
[[nodiscard]] int send_spill(int connection, const SpillNote& note, int file) noexcept;

/// The same for a text of at most `spill_text_bytes_max`.
[[nodiscard]] int send_spill_text(int connection, SpillNote note, std::string_view text) noexcept;

}  // namespace pinion::command
