#include "lib/loop/loop.hpp"

#include <poll.h>

#include <pinion/errors.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <utility>

#include "lib/os/clock.hpp"
#include "lib/os/ensure.hpp"
#include "lib/os/eventfd.hpp"

namespace pinion::loop {

using detail::Operation;
using detail::OperationKind;
using detail::Resumable;

namespace {

constinit thread_local Loop* running_loop = nullptr;

/// Calls `each` with this scope and all under it.
template <class Each>
void for_each_scope(detail::Scope& top, Each each) noexcept {
  for (detail::Scope* at = &top;;) {
    each(*at);
    if (!at->children.empty()) {
      at = &static_cast<detail::Scope&>(at->children.front());
      continue;
    }
    while (at != &top && at->parent->children.is_last(*at)) at = at->parent;
    if (at == &top) return;
    at = static_cast<detail::Scope*>(at->next);
  }
}

}  // namespace

IoBackend backend_from_environment() {
  const char* const value = std::getenv("PINION_IO");
  const std::string_view text = value == nullptr ? "" : value;
  if (text.empty() || text == "automatic") return IoBackend::automatic;
  if (text == "uring") return IoBackend::uring;
  if (text == "poll") return IoBackend::poll;
  throw std::invalid_argument("PINION_IO is \"" + std::string(text) +
                              "\": it must be uring, poll or automatic");
}

Loop::Loop(IoBackend wanted) : wanted_(wanted) {
  if (wanted != IoBackend::automatic) return;
  wanted_ = backend_from_environment();
  forced_ = wanted_ != IoBackend::automatic;
}

Loop::~Loop() {
  // In a forked child the ring, the epoll set and the operations in them are the parent's.
  if (guard_ && !guard_->same_process()) (void)backend_.release();
  backend_.reset();  // finishes what it has
  while (!timers_.empty()) {
    Operation& operation = *timers_.pop_due(os::never_ns);
    operation.unlink();
    operation.state = Resumable::State::idle;
  }
  while (has_ready()) {
    auto& resumable = static_cast<Resumable&>(completions_.ready.front());
    resumable.unlink();
    resumable.state = Resumable::State::dropped;
  }
  while (!roots_.empty()) {
    auto& root = static_cast<detail::Scope&>(roots_.front());
    root.unlink();
    for_each_scope(root, [this](detail::Scope& scope) { drop_waits(scope); });
  }
}

/// Those that wait for each other may still wake each other when they are destroyed.
void Loop::drop_waits(detail::Scope& scope) noexcept {
  while (!scope.operations.empty()) {
    auto& operation = static_cast<Operation&>(scope.operations.front());
    operation.unlink();
    if (operation.kind == OperationKind::wait) operation.state = Resumable::State::dropped;
  }
}

Loop* Loop::current() noexcept { return running_loop; }

Loop& Loop::require_current() {
  if (running_loop == nullptr)
    throw std::logic_error(
        "pinion: this can be awaited only inside an event loop: in a task that returns "
        "pinion::Task, or under pinion::run");
  return *running_loop;
}

Root* Loop::current_root() const noexcept {
  detail::Scope* scope = current_scope_;
  while (scope != nullptr && scope->parent != nullptr) scope = scope->parent;
  return static_cast<Root*>(scope);
}

void Loop::start(Root& root, std::coroutine_handle<> coroutine) noexcept {
  root.begin.coroutine = coroutine;
  root.begin.scope = &root;
  root.unlink();
  roots_.push_back(root);
  completions_.queue(root.begin);
}

bool Loop::run_ready(std::size_t max, StallMeter* meter) {
  if (!has_ready() || max == 0) return false;
  PINION_ENSURE(!running_);  // a coroutine must not turn the loop that runs it
  struct Running {
    explicit Running(Loop& l) : loop(l), outer(std::exchange(running_loop, &l)) {
      loop.running_ = true;
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    ~Running() {
      running_loop = outer;
      loop.current_scope_ = nullptr;
      loop.running_ = false;
    }
    Loop& loop;
    Loop* outer;
  } running(*this);
  // What becomes ready meanwhile waits for the next turn, in which the backend is looked at, too.
  detail::Link end;
  completions_.ready.push_back(end);
  for (; max > 0 && &completions_.ready.front() != &end; --max) {
    auto& resumable = static_cast<Resumable&>(completions_.ready.front());
    resumable.unlink();
    resumable.state = Resumable::State::idle;
    current_scope_ = resumable.scope;
    resumable.coroutine.resume();
    if (meter != nullptr) meter->ended();
  }
  if (meter != nullptr) meter->measure();
  return true;
}

void Loop::expire_timers() {
  if (timers_.empty()) return;
  const std::int64_t now = os::now_ns();
  while (Operation* const due = timers_.pop_due(now)) {
    if (due->kind == OperationKind::deadline) [[unlikely]]
      expire_deadline(*due);
    else
      completions_.finish(*due, 0);
  }
}

void Loop::begin_deadline(Operation& operation) {
  timers_.add(operation);
  operation.state = Resumable::State::pending;
}

void Loop::expire_deadline(Operation& operation) noexcept {
  operation.state = Resumable::State::idle;
  operation.result = 1;
  cancel(*static_cast<detail::Scope*>(const_cast<void*>(operation.buffer)));
}

void Loop::poll() {
  expire_timers();
  if (backend_ && completions_.pending != 0) backend_->gather();
}

void Loop::wait(std::int64_t deadline_ns) {
  expire_timers();
  const std::int64_t until = std::min(deadline_ns, timers_.next_ns());
  if (has_ready()) {
    if (backend_ && completions_.pending != 0) backend_->gather();
    return;
  }
  if (until == os::never_ns && wake_fd_ < 0 && !in_flight())
    throw std::logic_error(
        "pinion: every coroutine waits for another one (Channel, Semaphore, TaskGroup), so that "
        "none "
        "can ever go on");
  if (backend_)
    backend_->wait(until);
  else
    sleep_without_backend(until);
  expire_timers();
}

void Loop::sleep_without_backend(std::int64_t deadline_ns) {
  const std::int64_t left = std::max<std::int64_t>(0, deadline_ns - os::now_ns());
  const timespec timeout = os::to_timespec(left);
  pollfd wake{wake_fd_, POLLIN, 0};  // a negative descriptor is ignored
  if (::ppoll(&wake, 1, deadline_ns == os::never_ns ? nullptr : &timeout, nullptr) > 0)
    os::drain_eventfd(wake_fd_);
}

void Loop::set_wake_fd(int eventfd) noexcept {
  wake_fd_ = eventfd;
  if (backend_) backend_->set_wake_fd(eventfd);
}

void Loop::cancel(detail::Scope& top) noexcept {
  for_each_scope(top, [this](detail::Scope& scope) { cancel_operations(scope); });
}

void Loop::cancel_operations(detail::Scope& scope) noexcept {
  scope.stop = true;
  // The list is emptied first: cancelling one may finish others, which then leave it.
  detail::LinkList left;
  left.take(scope.operations);
  while (!left.empty()) {
    auto& operation = static_cast<Operation&>(left.front());
    operation.unlink();
    scope.operations.push_back(operation);
    cancel_one(operation);
  }
}

void Loop::cancel_one(Operation& operation) noexcept {
  if (operation.kind == OperationKind::sleep) {
    timers_.remove(operation);
    completions_.finish(operation, -ECANCELED);
  } else if (operation.kind == OperationKind::wait) {
    static_cast<detail::Link*>(operation.second)->unlink();
    completions_.finish(operation, -ECANCELED);
  } else if (!operation.cancelling && operation.kind != OperationKind::close) {
    operation.cancelling = true;
    backend_->cancel(operation);
  }
}

void Loop::make_backend() {
  guard_.emplace();
  ChosenBackend chosen = loop::make_backend(wanted_, completions_);
  backend_ = std::move(chosen.backend);
  kind_ = chosen.kind;
  reason_ = forced_ ? "asked for by PINION_IO" : std::move(chosen.reason);
  if (wake_fd_ >= 0) backend_->set_wake_fd(wake_fd_);
}

void Loop::prepare(Operation& operation) {
  // A descriptor must not stay open because its task was cancelled.
  if (current_scope_->stop && operation.kind != OperationKind::close) [[unlikely]]
    throw Cancelled();
  if (guard_ && !guard_->same_process())
    throw std::logic_error(
        "pinion: this process was forked inside a task; the event loop stays with the parent");
  operation.loop = this;
  operation.scope = current_scope_;
  operation.cancelling = false;
  operation.result = 0;
  if (operation.is_io() && !backend_) make_backend();
}

void Loop::begin(Operation& operation) noexcept {
  if (operation.kind == OperationKind::yield) return completions_.queue(operation);
  operation.state = Resumable::State::pending;
  operation.scope->operations.push_back(operation);
  if (operation.is_io()) {
    ++completions_.pending;
    return backend_->arm(operation);
  }
  if (operation.kind == OperationKind::wait) return;
  operation.deadline_ns = os::deadline_ns(operation.deadline_ns);
  try {
    timers_.add(operation);
  } catch (const std::bad_alloc&) {
    completions_.finish(operation, -ENOMEM);
  }
}

void Loop::abandon(Operation& operation) noexcept {
  const bool ours = !guard_ || guard_->same_process();
  if (operation.state == Resumable::State::pending && ours) {
    if (operation.is_io()) {
      operation.result = backend_->abandon(operation);
      --completions_.pending;
      operation.discard();
    } else {
      timers_.remove(operation);
    }
  } else if (operation.state == Resumable::State::ready) {
    operation.discard();
  }
  operation.unlink();
  operation.state = Resumable::State::idle;
}

}  // namespace pinion::loop
