#include <pinion/process.hpp>

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <utility>

#include "lib/loop/orphans.hpp"
#include "lib/loop/spawn.hpp"
#include "lib/os/error.hpp"
#include "lib/os/pidfd.hpp"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

namespace pinion::io {

namespace {

ProcessExit decode(const siginfo_t& info) noexcept {
  ProcessExit exit;
  if (info.si_code == CLD_EXITED) {
    exit.how = ProcessExit::How::exited;
    exit.code = info.si_status;
  } else {
    exit.how = ProcessExit::How::signaled;
    exit.signal = info.si_status;
    exit.core_dumped = info.si_code == CLD_DUMPED;
  }
  return exit;
}

}  // namespace

Process& Process::operator=(Process&& other) noexcept {
  if (this == &other) return *this;
  drop();
  pid_ = std::exchange(other.pid_, 0);
  pidfd_ = std::exchange(other.pidfd_, -1);
  own_group_ = other.own_group_;
  exit_ = std::exchange(other.exit_, std::nullopt);
  return *this;
}

Process::~Process() { drop(); }

void Process::drop() noexcept {
  if (pidfd_ < 0) return;
  os::Fd pidfd(std::exchange(pidfd_, -1));
  if (os::reap(pidfd.get())) return;
  loop::Orphans& orphans = loop::Orphans::list();
  orphans.sweep();
  orphans.add(std::move(pidfd));
}

void Process::kill(int signal) const {
  if (pidfd_ < 0) return;
  if (::syscall(SYS_pidfd_send_signal, pidfd_, signal, nullptr, 0) != 0 && errno != ESRCH)
    os::throw_errno("sending signal " + std::to_string(signal) + " to process " +
                    std::to_string(pid_));
}

void Process::kill_group(int signal) const {
  if (!own_group_)
    throw std::logic_error(
        "pinion::io::Process::kill_group: the process has no group of its own; start it with "
        "SpawnRequest::process_group");
  if (pidfd_ < 0) return;  // reaped: the number may be another's
  if (::kill(-pid_, signal) != 0 && errno != ESRCH)
    os::throw_errno("sending signal " + std::to_string(signal) + " to process group " +
                    std::to_string(pid_));
}

const ProcessExit& Process::reap() {
  if (exit_) return *exit_;
  siginfo_t info{};
  ProcessExit exit;
  rusage usage{};
  long rc = 0;
  do {
    // The raw call: its fifth argument is the usage, which the C library's function leaves out.
    rc = ::syscall(SYS_waitid, P_PIDFD, pidfd_, &info, WEXITED, &usage);
  } while (rc != 0 && errno == EINTR);
  if (rc == 0)
    exit = decode(info);
  else if (errno != ECHILD)
    os::throw_errno("reaping process " + std::to_string(pid_));
  exit.usage = usage;
  exit_ = exit;
  os::Fd(std::exchange(pidfd_, -1)).reset();
  return *exit_;
}

}  // namespace pinion::io

namespace pinion::detail {

io::Process spawn(const io::SpawnRequest& request) {
  loop::Orphans::list().sweep();
  loop::Spawned child = loop::start_process(request);
  return {child.pid, child.pidfd.release(), request.process_group};
}

}  // namespace pinion::detail
