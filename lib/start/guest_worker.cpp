#include "lib/start/guest_worker.hpp"

namespace pinion::start {

/// While a thread runs it. A task that calls pthread_exit takes the worker with it, too.
class GuestWorker::Running {
 public:
  explicit Running(GuestWorker& worker) : worker_(worker) {}
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    const std::lock_guard lock(worker_.mutex_);
    const bool over = !lives_on_ || worker_.told_;
    worker_.state_ = over ? State::ended : State::idle;
    if (over) worker_.tell_end();
  }
  void lives_on() noexcept { lives_on_ = true; }

 private:
  GuestWorker& worker_;
  bool lives_on_ = false;
};

bool GuestWorker::run_here() {
  {
    const std::lock_guard lock(mutex_);
    if (state_ != State::idle) return false;
    state_ = State::running;
  }
  Running running(*this);
  if (guest_ == nullptr) guest_ = make_(birth_, home_);
  const Guest::Outcome outcome = guest_->run();
  if (outcome != Guest::Outcome::over) running.lives_on();
  return outcome != Guest::Outcome::nothing;
}

void GuestWorker::told_to_end() noexcept {
  const std::lock_guard lock(mutex_);
  told_ = true;
  if (state_ != State::idle) return;  // who runs it sees it
  state_ = State::ended;
  tell_end();
}

bool GuestWorker::ended() const noexcept {
  const std::lock_guard lock(mutex_);
  return state_ == State::ended;
}

std::optional<ExitStatus> GuestWorker::reap() noexcept {
  if (!ended()) return std::nullopt;
  guest_.reset();
  return ExitStatus::exited(0);
}

Newborn GuestWorkerMaker::make(Birth birth, const BirthFds& fds, std::int64_t) {
  Newborn born;
  born.local = std::make_shared<GuestWorker>(make_, birth, fds);
  born.pid = birth.manager;
  born.pidfd = born.local->take_end_descriptor();
  return born;
}

}  // namespace pinion::start
