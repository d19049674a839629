#include "lib/loop/poll_backend.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <new>
#include <system_error>
#include <utility>

#include "lib/loop/file_calls.hpp"
#include "lib/loop/readiness.hpp"
#include "lib/loop/socket_calls.hpp"
#include "lib/loop/transfer.hpp"
#include "lib/os/clock.hpp"
#include "lib/os/eventfd.hpp"

namespace pinion::loop {

using detail::Operation;
using detail::OperationKind;

namespace {

constexpr std::size_t events_per_gather = 64;

// What Operation::backend_word says: who has it.
constexpr std::int32_t with_epoll = 0;
constexpr std::int32_t with_helpers = 1;

std::uint32_t wanted_events(const Operation& op) noexcept {
  return static_cast<std::uint16_t>(awaited_events(op));
}

bool is_open_for(const Operation& op) noexcept {
  const int flags = ::fcntl(op.fd, F_GETFL);
  if (flags < 0) return false;
  if (op.kind == OperationKind::read) return (flags & O_ACCMODE) != O_WRONLY;
  if (op.kind == OperationKind::write) return (flags & O_ACCMODE) != O_RDONLY;
  return true;
}

/// On a network's file system this writes what is left, and waits.
bool close_may_block(int fd) noexcept {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

/// One try of an operation whose descriptor may be ready.
std::int64_t attempt(const Operation& op) noexcept {
  if (op.kind == OperationKind::read || op.kind == OperationKind::write)
    return transfer_if_ready(op);
  return call_socket(op);
}

}  // namespace

PollBackend::PollBackend(Completions& completions)
    : completions_(completions),
      epoll_(os::move_high(os::Fd(os::check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")))) {
  epoll_event event{EPOLLIN, {.fd = helpers_.eventfd()}};
  os::check(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, helpers_.eventfd(), &event), "epoll_ctl");
}

PollBackend::~PollBackend() {
  for (Waiters& waiters : waiters_)
    while (Operation* const operation = waiters.first) {
      waiters.first = operation->next;
      completions_.finish(*operation, -ECANCELED);
    }
  while (completions_.pending != 0) {
    // Only helpers have the rest. Those that have not begun are done soon.
    pollfd done{helpers_.eventfd(), POLLIN, 0};
    if (::poll(&done, 1, 10) == 0) helpers_.release_fifos();
    files_done();
  }
}

void PollBackend::arm(Operation& operation) noexcept {
  std::int64_t result = 0;
  if (read_from_cache(operation, result)) return completions_.finish(operation, result);
  operation.backend_word = with_epoll;
  operation.next = nullptr;
  try {
    switch (operation.kind) {
      case OperationKind::openat:
      case OperationKind::fsync:
      case OperationKind::statx:
        return arm_file(operation);
      case OperationKind::close:
        if (close_may_block(operation.fd)) return arm_file(operation);
        return completions_.finish(operation, call_file(operation));
      case OperationKind::recv:
      case OperationKind::send:
      case OperationKind::accept:
      case OperationKind::connect:
        return arm_socket(operation);
      default:
        return arm_descriptor(operation);
    }
  } catch (const std::bad_alloc&) {
    completions_.finish(operation, -ENOMEM);
  } catch (const std::system_error& error) {
    completions_.finish(operation, -error.code().value());
  }
}

void PollBackend::arm_descriptor(Operation& operation) {
  // epoll would wait for ever where a descriptor is not open for this.
  if (!is_open_for(operation)) return completions_.finish(operation, -EBADF);
  await_readiness(operation);
}

void PollBackend::await_readiness(Operation& operation) {
  const auto index = static_cast<std::size_t>(operation.fd);
  if (index >= waiters_.size()) waiters_.resize(std::max(index + 1, 2 * waiters_.size()));
  Operation** last = &waiters_[index].first;
  while (*last != nullptr) last = &(*last)->next;
  *last = &operation;
  const int error = update(operation.fd);
  if (error == 0) return;
  *last = nullptr;
  if (error != EPERM) return completions_.finish(operation, -error);
  if (operation.kind != OperationKind::poll) return arm_file(operation);
  // A file that cannot be waited for is always ready, as poll(2) says.
  completions_.finish(operation, operation.events & (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM));
}

/// Sockets are mostly ready when they are asked, so ask before waiting; but not before others.
void PollBackend::arm_socket(Operation& operation) {
  const auto index = static_cast<std::size_t>(operation.fd);
  if (index >= waiters_.size() || waiters_[index].first == nullptr) {
    const std::int64_t result = call_socket(operation);
    if (!must_wait(operation, result)) return completions_.finish(operation, result);
  }
  await_readiness(operation);
}

void PollBackend::arm_file(Operation& operation) noexcept {
  operation.backend_word = with_helpers;
  if (!helpers_.submit(operation)) completions_.finish(operation, call_file(operation));
}

/// Tells epoll what the waiters of a descriptor want now. 0 or an errno.
int PollBackend::update(int fd) noexcept {
  Waiters& waiters = waiters_[static_cast<std::size_t>(fd)];
  std::uint32_t events = 0;
  for (const Operation* op = waiters.first; op != nullptr; op = op->next)
    events |= wanted_events(*op) | EPOLLERR;  // EPOLLERR: never 0 while somebody waits
  if (events == waiters.events) return 0;
  if (events == 0) {
    (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    waiters.events = 0;
    waiters.known = false;
    return 0;
  }
  epoll_event event{events | EPOLLONESHOT, {.fd = fd}};
  int rc = -1;
  if (waiters.known) rc = ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
  // Unknown, or the number is another file's by now.
  if (!waiters.known || (rc != 0 && errno == ENOENT))
    rc = ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
  if (rc != 0) return errno;
  waiters.events = events;
  waiters.known = true;
  return 0;
}

void PollBackend::remove(Operation& operation) noexcept {
  Operation** at = &waiters_[static_cast<std::size_t>(operation.fd)].first;
  while (*at != &operation) at = &(*at)->next;
  *at = operation.next;
  (void)update(operation.fd);
}

/// Ends an open that waits for the other end of a FIFO; its result is in place then. False for any
/// other operation, and where opening both ends is forbidden.
bool PollBackend::end_open(Operation& operation) noexcept {
  if (!opens_fifo(operation)) return false;
  for (int tries = 0; tries < 50; ++tries) {
    release_fifo(operation);
    if (helpers_.wait_for(operation, std::chrono::milliseconds(1))) return true;
  }
  return false;
}

void PollBackend::cancel(Operation& operation) noexcept {
  if (operation.backend_word == with_epoll) {
    remove(operation);
  } else if (!helpers_.take_back(operation)) {
    if (!end_open(operation)) return;  // a disk is busy with it: it ends soon, with its result
    operation.discard();
  }
  completions_.finish(operation, -ECANCELED);
}

std::int64_t PollBackend::abandon(Operation& operation) noexcept {
  if (operation.backend_word == with_epoll) {
    remove(operation);
  } else if (!helpers_.take_back(operation)) {
    if (!end_open(operation)) helpers_.wait_for(operation);
    return operation.result;
  }
  return -ECANCELED;
}

void PollBackend::descriptor_ready(int fd, std::uint32_t events) noexcept {
  const std::uint32_t always = EPOLLERR | EPOLLHUP;
  Waiters& waiters = waiters_[static_cast<std::size_t>(fd)];
  waiters.events = 0;  // EPOLLONESHOT
  Operation** at = &waiters.first;
  while (Operation* const operation = *at) {
    const std::uint32_t matching = events & (wanted_events(*operation) | always);
    std::int64_t result = matching;
    if (matching != 0 && operation->kind != OperationKind::poll) result = attempt(*operation);
    if (matching == 0 || result == -EINTR || must_wait(*operation, result)) {
      at = &operation->next;
      continue;
    }
    *at = operation->next;
    completions_.finish(*operation, result);
  }
  (void)update(fd);
}

void PollBackend::files_done() noexcept {
  for (Operation* operation = helpers_.done(); operation != nullptr;) {
    Operation* const next = operation->next;
    completions_.finish(*operation, operation->result);
    operation = next;
  }
}

int PollBackend::epoll(void* events, std::int64_t timeout_ns) noexcept {
  auto* const list = static_cast<epoll_event*>(events);
  const int count = static_cast<int>(events_per_gather);
  if (nanoseconds_ && timeout_ns != 0 && timeout_ns != os::never_ns) {
    const timespec timeout = os::to_timespec(timeout_ns);
    const long rc = ::syscall(SYS_epoll_pwait2, epoll_.get(), list, count, &timeout, nullptr, 0);
    if (rc >= 0 || errno == EINTR) return static_cast<int>(rc);
    nanoseconds_ = false;  // before Linux 5.11, or refused in a container
  }
  int timeout_ms = -1;
  if (timeout_ns != os::never_ns)
    timeout_ms = static_cast<int>(
        std::min<std::int64_t>((timeout_ns + 999'999) / 1'000'000, 24 * 3600 * 1000));
  return ::epoll_wait(epoll_.get(), list, count, timeout_ms);
}

/// True if the wake descriptor was among those ready.
bool PollBackend::collect(std::int64_t timeout_ns) {
  std::array<epoll_event, events_per_gather> events;
  const int count = epoll(events.data(), timeout_ns);
  if (count < 0 && errno != EINTR) os::throw_errno("epoll_wait");
  bool woken = false;
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if (event.data.fd == wake_fd_)
      woken = true;
    else if (event.data.fd == helpers_.eventfd())
      files_done();
    else
      descriptor_ready(event.data.fd, event.events);
  }
  return woken;
}

void PollBackend::gather() { (void)collect(0); }

void PollBackend::wait(std::int64_t deadline_ns) {
  std::int64_t left = os::never_ns;
  if (deadline_ns != os::never_ns) left = std::max<std::int64_t>(0, deadline_ns - os::now_ns());
  // Drained here only: a write that gather() sees must still end the next wait().
  if (collect(left)) os::drain_eventfd(wake_fd_);
}

void PollBackend::set_wake_fd(int eventfd) noexcept {
  if (wake_fd_ >= 0) (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, wake_fd_, nullptr);
  wake_fd_ = eventfd;
  epoll_event event{EPOLLIN, {.fd = eventfd}};
  if (eventfd >= 0) (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, eventfd, &event);
}

}  // namespace pinion::loop
