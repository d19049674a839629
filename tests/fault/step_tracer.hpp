// The process that traces for a Stepper.
#pragma once

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "fault/stepper.hpp"
#include "support/processes.hpp"

namespace checks {

namespace stepping {

inline constexpr std::size_t addresses_max = std::size_t{1} << 21;
/// For one order. Orders take milliseconds, long records on a busy machine seconds.
inline constexpr int order_seconds = 20;
/// For a way that was recorded before, which most likely is not taken if it takes longer.
inline constexpr int way_seconds = 2;

[[noreturn]] inline void fail(int error, const std::string& doing) {
  throw std::system_error(error, std::generic_category(), doing);
}

}  // namespace stepping

using namespace stepping;

struct Stepper::Order {
  enum class What { probe, hold, let_go, record, go } what;
  pid_t pid = 0;
  Manager manager = Manager::looks_away;
  Then then = Then::kill;
  bool asleep = false;         // it sleeps again before it gets its signal
  std::uint64_t landmark = 0;  // an address; 0: none
  std::uint32_t visit = 0;     // the how manieth time there
  std::uint64_t steps = 0;     // from there
  std::uint64_t address = 0;   // where it then is
};

struct Stepper::Answer {
  int error = 0;
  bool exact = true;
  std::uint64_t count = 0;
};

#if defined(__x86_64__)

/// What the tracer process does.
class Stepper::Tracer {
 public:
  Tracer(int socket, pid_t manager, std::uint64_t* addresses)
      : socket_(socket), manager_(manager), addresses_(addresses) {}

  [[noreturn]] void run() {
    struct sigaction action {};
    action.sa_handler = [](int) {};  // waits end by it, so it must not restart them
    ::sigaction(SIGALRM, &action, nullptr);
    Order order;
    while (::recv(socket_, &order, sizeof order, 0) == sizeof order) {
      Answer answer;
      set_alarm(order.what == Order::What::go ? way_seconds + static_cast<int>(order.steps / 2000)
                                              : order_seconds);
      try {
        answer = obey(order);
      } catch (const std::system_error& e) {
        answer.error = e.code().value();
        abandon();
      }
      set_alarm(0);
      if (::send(socket_, &answer, sizeof answer, MSG_NOSIGNAL) != sizeof answer) break;
    }
    ::_exit(0);
  }

 private:
  static void set_alarm(int seconds) {
    // Again and again, since it may come just before a wait begins.
    const itimerval when{{0, seconds == 0 ? 0 : 100'000}, {seconds, 0}};
    ::setitimer(ITIMER_REAL, &when, nullptr);
  }

  Answer obey(const Order& order) {
    pid_ = order.pid;
    switch (order.what) {
      case Order::What::probe:
        seize();
        trace(PTRACE_INTERRUPT, 0, "interrupting");
        await_stop();
        detach(0);
        return {};
      case Order::What::hold:
        hold();
        return {};
      case Order::What::let_go:
        detach(0);
        return {};
      case Order::What::record:
        await_manager(order.manager);
        return record();
      case Order::What::go:
        await_manager(order.manager);
        return go(order);
    }
    return {EINVAL};
  }

  long trace(__ptrace_request request, std::uint64_t data, const char* doing,
             std::uint64_t address = 0) const {
    errno = 0;
    const long result = ::ptrace(request, pid_, address, data);
    if (result == -1 && errno != 0) fail(errno, doing);
    return result;
  }

  /// After an error: what is still traced goes on, since nobody could reap it.
  void abandon() {
    set_alarm(1);
    if (::ptrace(PTRACE_INTERRUPT, pid_, nullptr, nullptr) != 0 && errno == ESRCH) {
      ::waitpid(pid_, nullptr, __WALL | WNOHANG);
      return;
    }
    if (::waitpid(pid_, &status_, __WALL) != pid_ || !WIFSTOPPED(status_)) return;
    if (place_ != 0) ::ptrace(PTRACE_POKETEXT, pid_, place_, before_);
    ::ptrace(PTRACE_DETACH, pid_, nullptr, nullptr);
  }

  // If we end, so does the worker: nothing stays stopped.
  void seize() { trace(PTRACE_SEIZE, PTRACE_O_EXITKILL, "seizing"); }

  void detach(int signal) { trace(PTRACE_DETACH, static_cast<unsigned>(signal), "detaching"); }

  /// Waits until the worker stands.
  void await_stop() {
    while (::waitpid(pid_, &status_, __WALL) != pid_) {
      if (errno == EINTR) fail(ETIMEDOUT, "waiting for the worker");
      fail(errno, "waiting for the worker");
    }
    if (!WIFSTOPPED(status_)) fail(ESRCH, "the worker has ended");
  }

  /// Whether it stands because of a step, or of what was planted.
  [[nodiscard]] bool trapped() const { return WSTOPSIG(status_) == SIGTRAP && status_ >> 16 == 0; }

  /// Lets it run to the next trap. Signals to it pass through.
  void resume(__ptrace_request how) {
    int signal = 0;
    do {
      trace(how, static_cast<unsigned>(signal), "resuming");
      await_stop();
      signal = status_ >> 16 == 0 ? WSTOPSIG(status_) : 0;
    } while (!trapped());
  }

  user_regs_struct registers() const {
    user_regs_struct regs{};
    if (::ptrace(PTRACE_GETREGS, pid_, nullptr, &regs) != 0) fail(errno, "reading registers");
    return regs;
  }

  std::uint64_t word(std::uint64_t address) const {
    return static_cast<std::uint64_t>(trace(PTRACE_PEEKTEXT, 0, "reading code", address));
  }

  static bool waits_on_futex(std::uint64_t number, const user_regs_struct& regs) {
    const std::uint64_t operation = regs.rsi & 0x7f;  // without its flags
    return number == SYS_futex && (operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET);
  }

  /// Whether the next instruction is the system call by which it sleeps.
  bool before_sleep(const user_regs_struct& regs) {
    if (!waits_on_futex(regs.rax, regs)) return false;
    const auto [known, fresh] = calls_.emplace(regs.rip, false);
    if (fresh) known->second = (word(regs.rip) & 0xffff) == 0x050f;
    return known->second;
  }

  void hold() {
    seize();
    // Seldom enough that it comes along between two interruptions.
    for (unsigned pause_us = 100;; pause_us = std::min(pause_us * 2, 50'000U)) {
      await_state('S');
      trace(PTRACE_INTERRUPT, 0, "interrupting");
      await_stop();
      const user_regs_struct regs = registers();
      // A system call that will be begun anew.
      constexpr std::int64_t restart_first = -516;
      constexpr std::int64_t restart_last = -512;
      const auto result = static_cast<std::int64_t>(regs.rax);
      if (waits_on_futex(regs.orig_rax, regs) && result >= restart_first &&
          result <= restart_last) {
        return;
      }
      const bool by_signal = status_ >> 16 == 0 && WSTOPSIG(status_) != SIGTRAP;
      trace(PTRACE_CONT, static_cast<unsigned>(by_signal ? WSTOPSIG(status_) : 0), "resuming");
      ::usleep(pause_us);
    }
  }

  /// Twice in a row: it may be on its way through a lock.
  void await_manager(Manager manager) const {
    if (manager != Manager::sleeps) return;
    for (int seen = 0; seen < 2;) {
      ::usleep(50);
      const auto found = process(manager_);
      if (!found) fail(ESRCH, "the manager has ended");
      seen = found->state == 'S' ? seen + 1 : 0;
    }
  }

  Answer record() {
    std::uint64_t count = 0;
    for (;;) {
      const user_regs_struct regs = registers();
      if (count == addresses_max) fail(EOVERFLOW, "recording");
      addresses_[count++] = regs.rip;
      if (count > 2 && before_sleep(regs)) break;
      resume(PTRACE_SINGLESTEP);
    }
    detach(0);
    return {0, true, count};
  }

  /// To an address that it visits that often. Stops early at any other trap.
  void run_to(std::uint64_t address, std::uint32_t visit) {
    place_ = address & ~std::uint64_t{7};
    before_ = word(place_);
    const unsigned shift = static_cast<unsigned>(address - place_) * 8;
    constexpr std::uint64_t int3 = 0xcc;
    const std::uint64_t planted = (before_ & ~(std::uint64_t{0xff} << shift)) | int3 << shift;
    for (;;) {
      plant(planted);
      resume(PTRACE_CONT);
      plant(before_);
      user_regs_struct regs = registers();
      if (regs.rip != address + 1) break;
      regs.rip = address;
      if (::ptrace(PTRACE_SETREGS, pid_, nullptr, &regs) != 0) fail(errno, "setting registers");
      if (--visit == 0) break;
      resume(PTRACE_SINGLESTEP);
    }
    place_ = 0;
  }

  void plant(std::uint64_t code) const { trace(PTRACE_POKETEXT, code, "planting", place_); }

  void weed() {
    if (place_ != 0) plant(before_);
    place_ = 0;
  }

  Answer go(const Order& order) {
    place_ = 0;
    try {
      if (order.landmark != 0) run_to(order.landmark, order.visit);
      for (std::uint64_t i = 0; i < order.steps; ++i) resume(PTRACE_SINGLESTEP);
    } catch (const std::system_error& e) {
      if (e.code().value() != ETIMEDOUT) throw;
      // It sleeps, and has not come by. It gets its signal, or the test would wait for ever.
      set_alarm(order_seconds);
      trace(PTRACE_INTERRUPT, 0, "interrupting");
      await_stop();
      weed();
      if (trapped()) {
        detach(signal_of(order.then));
      } else {
        end_interrupted(order.then);
      }
      return {0, false, 0};
    }
    const bool exact = registers().rip == order.address;
    if (order.asleep) {
      detach(0);
      await_state('S');
      ::kill(pid_, signal_of(order.then));
    } else if (order.landmark != 0 || order.steps != 0) {
      detach(signal_of(order.then));
    } else {
      end_interrupted(order.then);
    }
    if (order.then == Then::stop) await_state('T');
    return {0, exact, 0};
  }

  static int signal_of(Then then) { return then == Then::kill ? SIGKILL : SIGSTOP; }

  /// Detaching hands it a signal only where a signal had stopped it.
  void end_interrupted(Then then) {
    ::kill(pid_, SIGSTOP);
    detach(0);
    if (then == Then::kill) ::kill(pid_, SIGKILL);
  }

  void await_state(char state) const {
    for (int i = 0; i < order_seconds * 20'000; ++i) {
      const auto found = process(pid_);
      if (!found || found->state == 'Z') fail(ESRCH, "the worker has ended");
      if (found->state == state) return;
      ::usleep(50);
    }
    fail(ETIMEDOUT, "waiting for the worker");
  }

  int socket_;
  pid_t manager_;
  std::uint64_t* addresses_;
  pid_t pid_ = 0;
  int status_ = 0;
  std::uint64_t place_ = 0;                        // where something is planted; 0: nowhere
  std::uint64_t before_ = 0;                       // what was there
  std::unordered_map<std::uint64_t, bool> calls_;  // address -> whether a system call is there
};

#endif

}  // namespace checks
