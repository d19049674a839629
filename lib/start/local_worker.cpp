#include "lib/start/local_worker.hpp"

#include "lib/os/error.hpp"
#include "lib/os/eventfd.hpp"

namespace pinion::start {

namespace {

os::Fd duplicate(int fd) {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, os::descriptor_floor());
  return os::Fd(os::check(copy, "duplicating a descriptor for a worker"));
}

}  // namespace

LocalWorker::LocalWorker(const Birth& birth, const BirthFds& fds)
    : birth_(birth),
      manager_eventfd_(duplicate(fds.fd[manager_eventfd])),
      manager_bell_(duplicate(fds.fd[bell_eventfd])),
      own_bell_(duplicate(fds.fd[worker_eventfd])),
      end_(os::make_eventfd()),
      end_for_manager_(duplicate(end_.get())) {
  home_.memory = *fds.memory;
  home_.manager_eventfd = manager_eventfd_.get();
  home_.bell_eventfd = manager_bell_.get();
  home_.own_eventfd = own_bell_.get();
}

void LocalWorker::tell_end() const noexcept { os::ring_eventfd(end_.get()); }

}  // namespace pinion::start
