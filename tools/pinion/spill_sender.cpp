#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

#include "spill.hpp"

namespace pinion::command {

std::string spill_folder() {
  const char* chosen = ::getenv("TMPDIR");
  return chosen != nullptr && *chosen != '\0' ? chosen : "/tmp";
}

Descriptor make_spill_file() {
  const std::string folder = spill_folder();
  Descriptor file(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file) return file;
  // Not every file system has unnamed files; some say so in odd ways.
  if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL || errno == ENOENT) {
    std::string name = folder + "/pinion-XXXXXX";
    file.reset(::mkostemp(name.data(), O_CLOEXEC));
    if (file) {
      ::unlink(name.c_str());
      return file;
    }
  }
  throw std::system_error(errno, std::generic_category(),
                          "cannot make a file for its output in " + folder);
}

int spill_connection(const SpillAddress& address) {
  static Descriptor connection;  // per process: a worker inherits none, since none was made before
  if (connection) return connection.get();
  Descriptor made(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!made || ::connect(made.get(), reinterpret_cast<const sockaddr*>(&address.address),
                         address.length) != 0) {
    throw std::system_error(errno, std::generic_category(),
                            "cannot reach the command to hand a large output over");
  }
  connection = std::move(made);
  return connection.get();
}

int send_spill(int connection, const SpillNote& note, int file) noexcept {
  iovec content{const_cast<SpillNote*>(&note), sizeof note};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &content;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(sizeof file);
  std::memcpy(CMSG_DATA(part), &file, sizeof file);
  while (::sendmsg(connection, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

int send_spill_text(int connection, SpillNote note, std::string_view text) noexcept {
  std::array<iovec, 2> content{
      {{&note, sizeof note}, {const_cast<char*>(text.data()), text.size()}}};
  msghdr message{};
  message.msg_iov = content.data();
  message.msg_iovlen = content.size();
  while (::sendmsg(connection, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

}  // namespace pinion::command
