#include "interrupts.hpp"

#include <time.h>

#include <atomic>
#include <cstdint>

#include "write_all.hpp"

namespace pinion::command {
namespace {

// timeout(1) sends its signal to the command and then to its group: that is one wish, not two.
constexpr std::int64_t same_wish_ns = 250'000'000;

// Those that come to whole groups and end the processes of the pool. They ignore SIGINT themselves.
constexpr std::array<int, 2> of_groups{SIGTERM, SIGHUP};

// A handler has no other way to reach them.
std::atomic<JobBoard*> handled_board{nullptr};
std::atomic<const Wakeup*> handled_wakeup{nullptr};
std::atomic<int> asked{0};
std::atomic<int> last_signal{0};
std::atomic<std::int64_t> first_asked_ns{0};
static_assert(std::atomic<int>::is_always_lock_free &&
              std::atomic<JobBoard*>::is_always_lock_free &&
              std::atomic<std::int64_t>::is_always_lock_free);

// Set before the workers are forked, which inherit it.
std::array<struct sigaction, of_groups.size()> jobs_actions{};

std::int64_t now_ns() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void on_signal(int signal) {
  JobBoard* board = handled_board.load();
  const Wakeup* wakeup = handled_wakeup.load();
  if (board == nullptr || wakeup == nullptr) return;
  if (asked.load() == 0) {
    first_asked_ns.store(now_ns());
    asked.store(1);
    board->request(JobBoard::Stop::finish);
  } else if (signal == SIGHUP || now_ns() - first_asked_ns.load() < same_wish_ns) {
    return;
  } else {
    asked.store(2);
    give_up_writing();
    board->request(JobBoard::Stop::kill);
  }
  last_signal.store(signal);
  wakeup->wake();
}

sigset_t set_of_groups() noexcept {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : of_groups) sigaddset(&set, signal);
  return set;
}

}  // namespace

Interrupts::Interrupts(JobBoard& board, const Wakeup& wakeup) {
  handled_board = &board;
  handled_wakeup = &wakeup;
  for (std::size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], nullptr, &previous_[i]);
  // Blocked in this thread, they wait; ignored, they are so in the pool's processes, which begin
  // with an empty mask.
  const sigset_t blocked = set_of_groups();
  ::sigprocmask(SIG_BLOCK, &blocked, &previous_mask_);
  for (std::size_t i = 0; i < of_groups.size(); ++i) {
    struct sigaction ignored {};
    ignored.sa_handler = SIG_IGN;
    ::sigaction(of_groups[i], &ignored, &jobs_actions[i]);
  }
}

void Interrupts::handle() {
  for (std::size_t i = 0; i < signals.size(); ++i) {
    if (previous_[i].sa_handler == SIG_IGN) continue;
    struct sigaction action {};
    action.sa_handler = signals[i] == SIGPIPE ? SIG_IGN : on_signal;
    // The handler reads and then writes a count. No SA_RESTART: a blocked write must end.
    for (const int other : signals) sigaddset(&action.sa_mask, other);
    ::sigaction(signals[i], &action, nullptr);
  }
  ::sigprocmask(SIG_SETMASK, &previous_mask_, nullptr);
}

Interrupts::~Interrupts() {
  for (std::size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], &previous_[i], nullptr);
  ::sigprocmask(SIG_SETMASK, &previous_mask_, nullptr);
  handled_board = nullptr;
  handled_wakeup = nullptr;
}

int Interrupts::count() const noexcept { return asked.load(); }

int Interrupts::signal() const noexcept { return last_signal.load(); }

void protect_worker() {
  // A program that is started gets an empty mask and these dispositions.
  const sigset_t blocked = set_of_groups();
  ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
  for (std::size_t i = 0; i < of_groups.size(); ++i) {
    ::sigaction(of_groups[i], &jobs_actions[i], nullptr);
  }
}

}  // namespace pinion::command
