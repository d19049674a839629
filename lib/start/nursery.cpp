#include "lib/start/nursery.hpp"

#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "lib/os/clock.hpp"
#include "lib/os/fd_passing.hpp"
#include "lib/os/pidfd.hpp"
#include "lib/start/anew.hpp"
#include "lib/start/child_process.hpp"

namespace pinion::start {

namespace {

struct Answer {
  std::uint64_t order;
  pid_t pid;
  int error;
};

/// glibc keeps the thread's id in its thread block; a raw clone has the kernel write the new one
/// there, as fork() would.
void* thread_id_address() noexcept {
  void* address = nullptr;
#ifdef PR_GET_TID_ADDRESS
  if (::prctl(PR_GET_TID_ADDRESS, &address) != 0) return nullptr;
#endif
  return address;
}

/// clone(), the old call: clone3 is refused in many containers and by valgrind. Stack and memory
/// are copied as by fork.
pid_t clone_sibling(int* pidfd) noexcept {
  void* tid = thread_id_address();
  unsigned long flags = CLONE_PARENT | CLONE_PIDFD;
  if (tid != nullptr) flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
#if defined(__x86_64__)
  return static_cast<pid_t>(::syscall(SYS_clone, flags, nullptr, pidfd, tid, 0UL));
#elif defined(__aarch64__)
  return static_cast<pid_t>(::syscall(SYS_clone, flags, nullptr, pidfd, 0UL, tid));
#else
#error "pinion runs on x86-64 and aarch64"
#endif
}

/// It is our child although nobody waits for it: it must not stay as a zombie.
void end_unwanted(int pidfd) noexcept {
  os::send_signal(pidfd, SIGKILL);
  if (os::wait_for_exit(pidfd, os::deadline_ns(1'000'000'000))) os::reap(pidfd);
}

[[noreturn]] void be_worker(WorkerMain worker_main, const Birth& birth, const BirthFds& fds,
                            int nursery_socket) {
  die_with_parent(birth.manager);
  ::close(nursery_socket);
  ::_exit(worker_main(birth, fds));
}

/// As above, where there is no descriptor for it. Nobody else reaps it, so the number is its own.
void end_process(pid_t pid) noexcept {
  ::kill(pid, SIGKILL);
  for (int ms = 0; ms < 10'000; ++ms) {
    const pid_t reaped = ::waitpid(pid, nullptr, WNOHANG);
    if (reaped != 0 && !(reaped < 0 && errno == EINTR)) return;
    ::poll(nullptr, 0, 1);
  }
}

/// A worker of which the manager never hears would be lost, so a shortage of memory is waited for.
void answer(int socket, std::uint64_t order, pid_t pid, int error, int pidfd) {
  const Answer a{order, pid, error};
  std::array<std::byte, sizeof a> bytes;
  std::memcpy(bytes.data(), &a, sizeof a);
  for (int pause_ms = 1;; pause_ms *= 2) {
    try {
      os::send_message(socket, bytes,
                       pidfd >= 0 ? std::span<const int>(&pidfd, 1) : std::span<const int>());
      return;
    } catch (const std::system_error& e) {
      const int code = e.code().value();
      if ((code != ENOBUFS && code != ENOMEM && code != EAGAIN) || pause_ms > 64) throw;
    }
    ::poll(nullptr, 0, pause_ms);
  }
}

}  // namespace

void be_nursery(WorkerMain worker_main, int socket, pid_t manager) {
  die_with_parent(manager);
  ::prctl(PR_SET_NAME, "pinion-nursery");
  discard_inherited_output();
  reset_signals();
  block_inherited_descriptors(std::array{socket});
  Birth birth;
  std::array<std::byte, sizeof birth> bytes;
  for (;;) {
    os::Received order = os::receive_message(socket, bytes, os::never_ns);
    if (order.bytes != sizeof birth) ::_exit(0);
    std::memcpy(&birth, bytes.data(), sizeof birth);
    if (order.fds.size() != birth_fds) {  // there was no room for them here
      answer(socket, birth.order, -1, EMFILE, -1);
      continue;
    }
    BirthFds fds{};
    for (unsigned i = 0; i < birth_fds; ++i) fds.fd[i] = order.fds[i].get();
    int pidfd = -1;
    const pid_t pid = clone_sibling(&pidfd);
    if (pid == 0) be_worker(worker_main, birth, fds, socket);
    const int error = pid < 0 ? errno : 0;
    answer(socket, birth.order, pid, error, pid < 0 ? -1 : pidfd);
    if (pid > 0) ::close(pidfd);
  }
}

Nursery::Nursery() {
  auto [ours, theirs] = os::make_socket_pair();
  pid_ = start_anew(Role::nursery, theirs.get());
  socket_ = std::move(ours);
}

Nursery::Nursery(WorkerMain worker_main) {
  auto [ours, theirs] = os::make_socket_pair();
  const pid_t manager = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) os::throw_errno("forking the nursery");
  if (pid_ == 0) {
    try {
      be_nursery(worker_main, theirs.get(), manager);
    } catch (...) {
      ::_exit(124);  // the manager is gone or its order could not be read
    }
  }
  socket_ = std::move(ours);
}

void Nursery::reap_lost() noexcept {
  // The service thread makes no children but through us: what it still has was made, and its
  // birth was not answered.
  const std::string path = "/proc/self/task/" + std::to_string(::syscall(SYS_gettid)) + "/children";
  std::ifstream children(path);
  std::vector<pid_t> lost;
  for (pid_t pid = 0; children >> pid;) lost.push_back(pid);
  for (const pid_t pid : lost) end_process(pid);
}

void Nursery::end_now() noexcept {
  if (pid_ == 0) return;
  // Our child, and not reaped unless the host took it: then it has ended, and the socket says so.
  pollfd p{socket_.get(), POLLIN, 0};
  const bool hung_up = ::poll(&p, 1, 0) > 0 && (p.revents & POLLHUP) != 0;
  if (!hung_up) ::kill(pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
}

Newborn Nursery::make(Birth birth, const BirthFds& fds, std::int64_t deadline_ns) {
  birth.order = ++orders_;
  std::array<std::byte, sizeof birth> bytes;
  std::memcpy(bytes.data(), &birth, sizeof birth);
  os::send_message(socket_.get(), bytes, fds.fd);
  for (;;) {
    std::array<std::byte, sizeof(Answer)> reply;
    os::Received received = os::receive_message(socket_.get(), reply, deadline_ns);
    if (received.bytes != sizeof(Answer)) os::throw_errno(EPIPE, "the nursery has ended");
    Answer a{};
    std::memcpy(&a, reply.data(), sizeof a);
    if (a.order != birth.order) {  // to an order that was given up: nobody waits for that worker
      if (!received.fds.empty()) {
        end_unwanted(received.fds[0].get());
      } else if (a.pid > 0) {
        end_process(a.pid);
      }
      continue;
    }
    if (a.pid < 0) os::throw_errno(a.error, "starting a worker");
    if (received.fds.empty()) {  // there was no room for it here; not reaped, so the number is its
      end_process(a.pid);
      os::throw_errno(EMFILE, "starting a worker: its pidfd could not be received");
    }
    return {a.pid, os::move_high(std::move(received.fds[0])), nullptr};
  }
}

}  // namespace pinion::start
