// Output that is too large to travel in a result: the worker keeps it in an unlinked file and hands
// the descriptor to the command.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "descriptor.hpp"

namespace pinion::command {

enum class Stream : std::uint32_t { out, err };

/// Where workers hand their files in.
struct SpillAddress {
  sockaddr_un address{};
  socklen_t length = 0;
};

/// What travels beside the descriptor.
struct SpillNote {
  std::uint64_t sequence = 0;
  Stream stream = Stream::out;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(SpillNote) == 16, "it is sent as bytes");

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
  /// How many files wait to be taken.
  [[nodiscard]] std::size_t waiting() const noexcept { return files_.size(); }

 private:
  void receive_until(const std::pair<std::uint64_t, Stream>& wanted);
  bool receive_from(int connection);
  [[nodiscard]] bool is_trusted(int connection) const;

  SpillAddress address_;
  Descriptor listener_;
  std::function<bool(pid_t)> is_worker_;
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

}  // namespace pinion::command
