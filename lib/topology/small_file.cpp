#include "lib/topology/small_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace pinion::topology {

std::optional<std::string> read_small_file(const std::string& path) {
  constexpr std::size_t bytes_max = 1u << 20;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return std::nullopt;
  std::string text;
  char block[4096];
  ssize_t got = 0;
  do {
    got = ::read(fd, block, sizeof block);
    if (got > 0) text.append(block, static_cast<std::size_t>(got));
  } while ((got > 0 && text.size() <= bytes_max) || (got < 0 && errno == EINTR));
  ::close(fd);
  if (got != 0) return std::nullopt;
  return text;
}

}  // namespace pinion::topology
