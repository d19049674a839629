#include "job_board.hpp"

#include <signal.h>
#include <sys/mman.h>

#include <cerrno>
#include <new>
#include <system_error>

namespace pinion::command {

JobBoard::JobBoard(std::size_t places) : places_(places) {
  const std::size_t bytes = words() * sizeof(Word);
  void* page = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) {
    throw std::system_error(errno, std::generic_category(), "making the shared board of jobs");
  }
  words_ = static_cast<Word*>(page);
  for (std::size_t i = 0; i < words(); ++i) new (&words_[i]) Word(0);
}

JobBoard::~JobBoard() { ::munmap(words_, words() * sizeof(Word)); }

// EDGE publish-stop: the group is stored before `stop` is loaded here, and `stop` is stored before
// the groups are loaded in `request`; all sequentially consistent. So a group that `request` does
// not see is killed by its worker.
bool JobBoard::publish(std::size_t place, pid_t group) noexcept {
  group_of(place).store(group);
  return stop() != Stop::kill;
}

void JobBoard::request(Stop stop) noexcept {
  words_[0].store(static_cast<std::int32_t>(stop));  // EDGE publish-stop
  if (stop != Stop::kill) return;
  for (std::size_t place = 0; place < places_; ++place) kill(place);
}

void JobBoard::kill(std::size_t place) noexcept {
  const pid_t group = group_of(place).load();
  if (group > 1) ::kill(-group, SIGKILL);
}

}  // namespace pinion::command
