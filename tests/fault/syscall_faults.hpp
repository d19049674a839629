// Faults at the n-th system call of a process and all its children: the kernel asks this process
// about each of the calls (a seccomp listener), which lets them go on, fails one, or kills the
// caller in the midst of it. The count runs over all its threads and processes.
#pragma once

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "fault/manager_process.hpp"

#ifndef SECCOMP_USER_NOTIF_FLAG_CONTINUE
#define SECCOMP_USER_NOTIF_FLAG_CONTINUE 1UL
#endif

namespace checks {

/// Whose calls count.
enum class Caller { anyone, manager, nursery };

struct Fault {
  std::vector<int> calls;  // empty: all of them
  std::uint64_t nth = 1;   // 0: none
  std::uint64_t last = 0;  // all from `nth` to `last`; 0: only `nth`
  int error = 0;           // 0: instead of the call, its process is killed
  Caller caller = Caller::anyone;
  std::chrono::milliseconds delay{0};  // before that
  int stage = 0;                       // calls count from this stage of the report on
};

struct FaultOutcome {
  bool listened = false;  // false: this machine does not allow it
  bool reached = false;   // the n-th call was made
  bool hung = false;      // the manager had not ended in time, and was killed
  std::uint64_t calls = 0;
  std::string where;  // who made the (first) call that failed
  int status = 0;     // the manager's
  std::string said;
  Clock::time_point killed_at{};
};

/// Called in the manager: from now on its calls are asked about. False where that is forbidden.
inline bool listen_to_calls(Report& report, const std::vector<int>& calls) {
  std::vector<sock_filter> filter;
  const auto add = [&](std::uint16_t code, std::uint32_t k, std::uint8_t yes = 0,
                       std::uint8_t no = 0) {
    filter.push_back({code, yes, no, k});
  };
  add(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
  if (!calls.empty()) {
    for (const int call : calls) {
      add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 1);
      add(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    }
    add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  } else {
    add(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
  }
  const sock_fprog program{static_cast<std::uint16_t>(filter.size()), filter.data()};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
  const long fd =
      ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
  report.listener = fd < 0 ? -2 : static_cast<int>(fd);
  while (fd >= 0 && report.served == 0) {  // without a system call: each might be asked about
  }
  return report.served == 1;
}

namespace faults_detail {

inline pid_t process_of(pid_t thread) {
  std::ifstream file("/proc/" + std::to_string(thread) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("Tgid:", 0) == 0) return std::atoi(line.c_str() + 5);
  }
  return 0;
}

inline std::string name_of(pid_t thread) {
  std::ifstream file("/proc/" + std::to_string(thread) + "/comm");
  std::string name;
  std::getline(file, name);
  return name;
}

}  // namespace faults_detail

/// Runs `main(report)` in a process of its own, with that fault. The process is ended afterwards,
/// but what it has left is there.
class FaultRun {
 public:
  template <class Main>
  FaultRun(const Fault& fault, Main main)
      : manager_([fault, main](Report& report) {
          if (listen_to_calls(report, fault.calls)) main(report);
        }) {
    run(fault);
  }

  [[nodiscard]] const FaultOutcome& outcome() const noexcept { return outcome_; }
  [[nodiscard]] ManagerProcess& manager() noexcept { return manager_; }

 private:
  void run(const Fault& fault, std::chrono::milliseconds limit = 20s) {
    Report& report = manager_.report();
    if (!eventually([&] { return report.listener != -1 || manager_.ended(); })) return;
    const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, manager_.pid(), 0));
    const int listener =
        report.listener < 0 || pidfd < 0
            ? -1
            : static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd, report.listener.load(), 0));
    if (listener >= 0) {
      outcome_.listened = true;
      report.served = 1;
      serve(fault, listener, Clock::now() + limit);
      ::close(listener);
    } else {
      report.served = 2;
      static_cast<void>(manager_.ended(5s));
    }
    if (pidfd >= 0) ::close(pidfd);
    outcome_.said = report.text;
  }

  void serve(const Fault& fault, int listener, Clock::time_point until) {
    const std::uint64_t last = std::max(fault.last, fault.nth);
    while (!manager_.ended()) {
      if (Clock::now() > until) {
        outcome_.hung = true;
        show_stacks(manager_.pid());
        manager_.kill(SIGKILL);
        static_cast<void>(manager_.ended(5s));
        break;
      }
      pollfd p{listener, POLLIN, 0};
      if (::poll(&p, 1, 5) <= 0 || (p.revents & POLLIN) == 0) {
        if ((p.revents & POLLHUP) != 0) ::usleep(500);
        continue;
      }
      seccomp_notif asked{};
      if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0) continue;  // it was killed
      const auto caller = static_cast<pid_t>(asked.pid);
      bool fails = false;
      Report& report = manager_.report();
      if (report.quiet == 0 && report.stage >= fault.stage && counts(fault.caller, caller)) {
        ++outcome_.calls;
        fails = fault.nth != 0 && outcome_.calls >= fault.nth && outcome_.calls <= last;
      }
      if (fails) {
        outcome_.reached = true;
        if (outcome_.where.empty()) outcome_.where = faults_detail::name_of(caller);
        std::this_thread::sleep_for(fault.delay);
      }
      if (fails && fault.error == 0) {
        outcome_.killed_at = Clock::now();
        ::kill(process_of_.at(caller), SIGKILL);
        if (process_of_.at(caller) != manager_.pid()) continue;
        answer_others(listener);
        break;
      }
      seccomp_notif_resp answer{};
      answer.id = asked.id;
      if (fails) {
        answer.error = -fault.error;
      } else {
        answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
      }
      ::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
    outcome_.status = manager_.status().value_or(0);
  }

  /// The manager is dead; without a listener its children would get ENOSYS from every call. Goes on
  /// until they are gone too, or for a while.
  void answer_others(int listener) {
    const auto until = Clock::now() + 5s;
    while (Clock::now() < until) {
      if (const auto took = time_until_gone(manager_, 0ms)) break;
      pollfd p{listener, POLLIN, 0};
      if (::poll(&p, 1, 1) <= 0 || (p.revents & POLLIN) == 0) continue;
      seccomp_notif asked{};
      if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0) continue;
      seccomp_notif_resp answer{};
      answer.id = asked.id;
      answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
      ::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
    gone_after_ = Clock::now() - outcome_.killed_at;
  }

  bool counts(Caller who, pid_t thread) {
    const auto [it, isnew] = process_of_.try_emplace(thread, 0);
    if (isnew) {
      it->second = faults_detail::process_of(thread);
      // The first child that a pool's manager makes.
      if (nursery_ == 0 && it->second != manager_.pid()) nursery_ = it->second;
    }
    if (who == Caller::anyone) return true;
    return it->second == (who == Caller::manager ? manager_.pid() : nursery_);
  }

 public:
  /// After a kill: until nothing of the manager was left.
  [[nodiscard]] Clock::duration gone_after() const noexcept { return gone_after_; }

 private:
  ManagerProcess manager_;
  FaultOutcome outcome_;
  std::map<pid_t, pid_t> process_of_;  // by thread
  pid_t nursery_ = 0;
  Clock::duration gone_after_{};
};

/// Whether this machine lets a process listen to the system calls of another.
inline bool can_listen() {
  Fault none;
  none.calls = {SYS_memfd_create};
  none.nth = 0;
  FaultRun probe(none, [](Report& report) { report.say("here"); });
  return probe.outcome().listened;
}

}  // namespace checks
