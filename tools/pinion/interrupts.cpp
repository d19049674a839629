#include "interrupts.hpp"

#include <algorithm>
#include <atomic>

#include "write_all.hpp"

namespace pinion::command {
namespace {

// A handler has no other way to reach them.
std::atomic<JobBoard*> handled_board{nullptr};
std::atomic<const Wakeup*> handled_wakeup{nullptr};
std::atomic<int> asked{0};
std::atomic<int> last_signal{0};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<JobBoard*>::is_always_lock_free);

void on_signal(int signal) {
  JobBoard* board = handled_board.load();
  const Wakeup* wakeup = handled_wakeup.load();
  if (board == nullptr || wakeup == nullptr) return;
  last_signal.store(signal);
  const int count = signal == SIGHUP ? 2 : asked.load() + 1;
  asked.store(count);
  if (count >= 2) {
    give_up_writing();
    board->request(JobBoard::Stop::kill);
  } else {
    board->request(JobBoard::Stop::finish);
  }
  wakeup->wake();
}

}  // namespace

Interrupts::Interrupts(JobBoard& board, const Wakeup& wakeup) {
  handled_board = &board;
  handled_wakeup = &wakeup;
  for (std::size_t i = 0; i < signals.size(); ++i) {
    ::sigaction(signals[i], nullptr, &previous_[i]);
    if (previous_[i].sa_handler == SIG_IGN) continue;
    struct sigaction action {};
    action.sa_handler = signals[i] == SIGPIPE ? SIG_IGN : on_signal;
    // The handler reads and then writes a count. No SA_RESTART: a blocked write must end.
    for (const int other : signals) sigaddset(&action.sa_mask, other);
    ::sigaction(signals[i], &action, nullptr);
  }
}

Interrupts::~Interrupts() {
  for (std::size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], &previous_[i], nullptr);
  handled_board = nullptr;
  handled_wakeup = nullptr;
}

int Interrupts::count() const noexcept { return std::min(asked.load(), 2); }

int Interrupts::signal() const noexcept { return last_signal.load(); }

}  // namespace pinion::command
