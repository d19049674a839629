#include "guardian.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace pinion::command {
namespace {

// Not in the terminal's foreground group, and not one to keep files open that others wait for.
void leave_everything(int kept) noexcept {
  ::setsid();
  const int null = ::open("/dev/null", O_RDWR);
  for (const int fd : {0, 1, 2}) ::dup2(null, fd);
  ::dup2(kept, 3);
  constexpr unsigned first = 4;
  if (::syscall(SYS_close_range, first, ~0u, 0) == 0) return;
  for (int fd = first; fd < 1024; ++fd) ::close(fd);
}

[[noreturn]] void guard(JobBoard& board, int end_of_life) noexcept {
  leave_everything(end_of_life);
  char dismissal = 0;
  ssize_t count = 0;
  while ((count = ::read(3, &dismissal, 1)) < 0 && errno == EINTR) {
  }
  if (count > 0) ::_exit(0);
  // A worker that is about to die may put one more on the board.
  for (int round = 0; round < 10; ++round) {
    board.request(JobBoard::Stop::kill);
    board.kill_all_lost();
    ::poll(nullptr, 0, 10);
  }
  ::_exit(0);
}

}  // namespace

Guardian::Guardian(JobBoard& board) noexcept {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) return;
  Descriptor end_of_life(ends[0]);
  life_.reset(ends[1]);
  pid_ = ::fork();
  if (pid_ == 0) guard(board, end_of_life.get());
}

Guardian::~Guardian() {
  if (pid_ < 0) return;
  // Somebody may have killed it: that is no reason for a SIGPIPE.
  [[maybe_unused]] const ssize_t count = ::send(life_.get(), "", 1, MSG_NOSIGNAL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace pinion::command
