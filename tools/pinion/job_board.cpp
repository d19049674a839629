#include "job_board.hpp"

#include <signal.h>
#include <sys/mman.h>

#include <cerrno>
#include <new>
#include <system_error>

#include "lost_job.hpp"

namespace pinion::command {

JobBoard::JobBoard(std::size_t places) : places_(places) {
  void* page = ::mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) {
    throw std::system_error(errno, std::generic_category(), "making the shared board of jobs");
  }
  header_ = new (page) Header;
  list_ = reinterpret_cast<Place*>(static_cast<char*>(page) + sizeof(Header));
  for (std::size_t index = 0; index < places; ++index) new (list_ + index) Place;
}

JobBoard::~JobBoard() { ::munmap(header_, bytes()); }

void JobBoard::offer(std::size_t index) noexcept {
  clear(index);
  place(index).begun.store(0);
  place(index).ending.store(0);
  place(index).claim.store(Claim::waiting);
}

bool JobBoard::take(std::size_t index, Claim claim) noexcept {
  Claim expected = Claim::waiting;
  return place(index).claim.compare_exchange_strong(expected, claim);
}

// EDGE publish-stop: the group is stored before `stop` is loaded here, and `stop` is stored before
// the groups are loaded in `request`; all sequentially consistent. So a group that `request` does
// not see is killed by its worker.
bool JobBoard::publish(std::size_t index, pid_t group) noexcept {
  place(index).group.store(group);
  return stop() != Stop::kill;
}

void JobBoard::clear(std::size_t index) noexcept {
  place(index).pipe.store(0);  // first, so that nobody takes the group for one not yet known
  place(index).group.store(0);
}

void JobBoard::request(Stop stop) noexcept {
  header_->stop.store(stop);  // EDGE publish-stop
  if (stop != Stop::kill) return;
  for (std::size_t index = 0; index < places_; ++index) signal_group(index, SIGKILL);
}

bool JobBoard::signal_group(std::size_t index, int signal) noexcept {
  const pid_t group = place(index).group.load();
  return group > 1 && ::kill(-group, signal) == 0;
}

void JobBoard::kill_lost(std::size_t index) noexcept {
  if (signal_group(index, SIGKILL)) return;
  const std::uint32_t pipe = place(index).pipe.load();
  if (pipe != 0) kill_holders(pipe);
}

void JobBoard::kill_all_lost() noexcept {
  for (std::size_t index = 0; index < places_; ++index) kill_lost(index);
}

}  // namespace pinion::command
