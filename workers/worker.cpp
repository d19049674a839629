#include "workers/worker.hpp"

#include <cxxabi.h>
#include <unistd.h>
#include <pinion/errors.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "lib/os/clock.hpp"
#include "lib/pool/remote_exception.hpp"
#include "workers/coroutine_item.hpp"
#include "workers/coroutine_tasks.hpp"

namespace pinion::workers {

namespace {

// What has ended in the kernel is looked for so often while there is work: some 20 times what it
// costs, and seldom enough for operations to go to the kernel together.
constexpr std::int64_t look_ns = 20'000;

Worker* the_worker = nullptr;                            // of this process
constinit thread_local Worker* thread_worker = nullptr;  // of a thread of the manager

}  // namespace

Worker::Worker(const start::Birth& birth, Channel& channel, Identity identity)
    : channel_(channel),
      identity_(std::move(identity)),
      code_(channel),
      space_(channel.own_segment, channel.results_begin, *channel.manager_line),
      loop_(static_cast<IoBackend>(birth.io)),
      coroutines_(std::make_unique<CoroutineTasks>(*this)),
      child_concurrency_(birth.child_concurrency),
      initializer_(birth.initializer),
      finalizer_(birth.finalizer),
      exception_handler_(birth.exception_handler),
      resident_set_(birth.max_rss),
      idle_(static_cast<Idle>(birth.idle)),
      crowded_(birth.crowded != 0),
      spin_(birth.spin_ns),
      stalls_(birth.stall_ns) {
  loop_.set_wake_fd(channel_.own_eventfd);
  if (!channel_.is_local()) the_worker = this;
}

Worker::~Worker() {
  if (the_worker == this) the_worker = nullptr;
}

Worker::Here::Here(Worker& worker) noexcept : before_(thread_worker) {
  if (worker.is_local()) thread_worker = &worker;
}

Worker::Here::~Here() { thread_worker = before_; }

Worker* Worker::current() noexcept {
  Worker* const worker = thread_worker != nullptr ? thread_worker : the_worker;
  return worker != nullptr && worker->guard_.same_process() ? worker : nullptr;
}

void Worker::say_ready() {
  // From here on a smaller witness is a lie.
  channel_.line->claimed.store(channel_.tasks.position(), std::memory_order_release);
  ring::ResultMessage message{};
  message.flight = ring::no_flight;
  message.kind = ring::ResultKind::ready;
  message.payload.words[0] = channel_.fencing == ring::Fencing::asymmetric ? 1 : 0;
  channel_.results.push(message);
  channel_.manager_bell.ring();
  os::ring_eventfd(channel_.manager_eventfd);  // nobody may be collecting
}

void Worker::say_failed(const std::exception_ptr& what) noexcept {
  // As text, from a thread too: it becomes part of another.
  const auto error = pool::encode_exception(what, {identity_.index, identity_.pid, 0});
  ring::ResultMessage message{};
  message.flight = ring::no_flight;
  message.kind = ring::ResultKind::start_failed;
  if (const auto offset = space_.take(error.size())) {
    std::memcpy(space_.at(*offset), error.data(), error.size());
    message.payload.block = {*offset, error.size()};
  }
  channel_.results.push(message);
  channel_.manager_bell.ring();
  os::ring_eventfd(channel_.manager_eventfd);
}

void Worker::run() {
  while (!over()) {
    if (!turn()) {
      idle();
    } else if (resident_set_.is_limited()) [[unlikely]] {
      look_at_size();
    }
  }
}

bool Worker::run_what_is_there() {
  bool worked = false;
  while (!over()) {
    if (!turn()) {
      if (coroutines_->live() == 0 && queue_.empty()) break;
      park();
    }
    worked = true;
  }
  return worked;
}

bool Worker::over() noexcept {
  if (!abandoned()) [[likely]]
    return leaving_ && coroutines_->live() == 0 && queue_.empty();
  if (!std::exchange(winding_up_, true)) {
    queue_.clear();
    coroutines_->cancel_all();
  }
  return coroutines_->live() == 0;
}

/// One round over everything that may have work. False if there was none.
bool Worker::turn() {
  bool worked = false;
  if (coroutines_->live() != 0)
    watch();
  else
    watching_ = false;
  // While tasks wait here, control messages behind them must not: a cancel is one.
  if (coroutines_->live() != 0 || !queue_.empty()) worked |= intake();
  worked |= coroutines_->start_more();
  if (loop_.has_ready()) {  // they were ready before the next task came to its turn
    watch();
    loop_.run_ready(64, &stalls_);
    tell_stalls();
    if (!told_backend_) tell_backend();
    worked = true;
  }
  if (!queue_.empty()) {
    const bool coroutine = (queue_.front().message.flags & ring::task_is_coroutine) != 0;
    if (!coroutine || coroutines_->can_take()) {
      const Queued next = queue_.front();
      queue_.pop_front();
      run_task(next.message, next.position);
      worked = true;
    }
  } else {
    ring::TaskMessage message;
    const std::uint64_t position = channel_.tasks.position();
    if (channel_.tasks.take(message)) {
      worked = true;
      if (message.kind != ring::TaskKind::run) {
        channel_.line->read.store(position + 1, std::memory_order_release);
        take_control(message);
      } else if ((message.flags & ring::task_is_coroutine) != 0 && !coroutines_->can_take()) {
        queue_.push_back({message, position});
      } else {
        run_task(message, position);
      }
    }
  }
  if (loop_.in_flight() && (!worked || stalls_.now_ns() - looked_ns_ > look_ns)) {
    loop_.poll();
    looked_ns_ = stalls_.now_ns();
    worked |= loop_.has_ready();
  }
  if (coroutines_->timed() && coroutines_->next_deadline() <= os::now_ns()) {
    coroutines_->expire(os::now_ns());
    worked = true;
  }
  return worked;
}

/// Somebody waits for the loop.
void Worker::watch() noexcept {
  if (watching_) return;
  watching_ = true;
  stalls_.begin();
}

/// Takes what lies in the ring: control messages are obeyed, tasks queue up here.
bool Worker::intake() {
  bool any = false;
  ring::TaskMessage message;
  for (;;) {
    const std::uint64_t position = channel_.tasks.position();
    if (!channel_.tasks.take(message)) break;
    any = true;
    if (message.kind == ring::TaskKind::run) {
      queue_.push_back({message, position});
    } else {
      take_control(message);
    }
  }
  if (any) channel_.line->read.store(channel_.tasks.position(), std::memory_order_release);
  return any;
}

void Worker::take_control(const ring::TaskMessage& message) {
  switch (message.kind) {
    case ring::TaskKind::give_back:
      for (std::uint32_t i = 0; i < message.count; ++i) space_.give_back(message.payload.words[i]);
      return;
    case ring::TaskKind::cancel:
      coroutines_->cancel(message.payload.words[0] - 1);
      return;
    case ring::TaskKind::grant:
      granted_ = static_cast<int>(message.payload.words[0]);
      return;
    case ring::TaskKind::leave:
      leaving_ = true;
      return;
    case ring::TaskKind::run:
      return;
  }
}

bool Worker::claim(const ring::TaskMessage& message, std::uint64_t position) noexcept {
  return ring::claim(*channel_.line, *channel_.manager_line, verdict(message.flight), position,
                     channel_.fencing);
}

void Worker::answer_skipped(const ring::TaskMessage& message, std::uint64_t position) {
  ring::ResultMessage answer{};
  answer.flight = message.flight;
  answer.kind = ring::ResultKind::skipped;
  answer.position = position;
  publish(answer, {});
}

void Worker::run_task(const ring::TaskMessage& message, std::uint64_t position) {
  if (!claim(message, position)) {
    answer_skipped(message, position);
    return;
  }
  if ((message.flags & ring::task_is_coroutine) == 0) {
    run_plain(message, position);
    return;
  }
  try {
    coroutines_->take(message, position);
    ring::claim_after_run(*channel_.line, position);
  } catch (...) {
    publish_error(message, position, encode_failure(std::current_exception(), message.first));
  }
}

// The sanitizer takes what a forced unwinding throws for a null reference.
__attribute__((no_sanitize("null"))) void Worker::run_plain(const ring::TaskMessage& message,
                                                            std::uint64_t position) {
  PlainFrame frame(*this, message, position);
  std::int64_t begin_ns = 0;
  frame_ = &frame;
  try {
    const auto bytes = arguments_of(message);
    frame.arguments = bytes.data();
    frame.argument_bytes = bytes.size();
    frame.code = &code_;
    frame.first = message.first;
    frame.count = message.count;
    if (message.count > 1) {
      begin_ns = os::now_ns();
      frame.cursor.progress = &channel_.line->progress;
      frame.cursor.limit = &verdict(message.flight).limit;
      frame.cursor.tag = ring::limit_tag(position);
      frame.cursor.asymmetric = channel_.fencing == ring::Fencing::asymmetric;
      frame.cursor.strip = (message.flags & ring::task_has_short_items) != 0 ? 32 : 1;
    }
    if ((message.flags & ring::task_is_timed) != 0) {
      frame.timed = true;
      frame.cursor.strip = 1;
      frame.stamp();
    }
    frame.stops_at_error = (message.flags & ring::task_stops_at_error) != 0;
    thunk_of(message)(frame);
    ring::claim_after_run(*channel_.line, position);
  } catch (const abi::__forced_unwind&) {
    throw;  // pthread_exit: not an error of the task
  } catch (...) {
    frame_ = nullptr;
    measure_hold();
    publish_error(message, position, encode_failure(std::current_exception(), message.first),
                  std::move(frame.blocks));
    channel_.line->chunk.store(0, std::memory_order_release);
    return;
  }
  frame_ = nullptr;
  measure_hold();
  ring::ResultMessage answer{};
  answer.flight = message.flight;
  answer.position = position;
  if (message.count > 1) {
    answer.kind = ring::ResultKind::chunk;
    answer.items_done = frame.done;
    answer.cost_ns = CostMeter::of_chunk(begin_ns, frame.done);
    answer.payload.block = {frame.blocks[0].offset, frame.blocks[0].bytes};
    publish(answer, frame.blocks);
    channel_.line->chunk.store(0, std::memory_order_release);
    return;
  }
  answer.kind = ring::ResultKind::value;
  answer.items_done = 1;
  answer.cost_ns = cost_.task_ended(channel_.tasks.ready());
  if (frame.in_block) {
    answer.payload.block = {frame.blocks[0].offset, frame.blocks[0].bytes};
    publish(answer, frame.blocks, true);
  } else {
    answer.flags = ring::result_is_inline;
    answer.inline_bytes = frame.inline_bytes;
    std::memcpy(answer.payload.inline_bytes, frame.inline_result, sizeof frame.inline_result);
    publish(answer, {});
  }
}

void Worker::publish(ring::ResultMessage& message, std::span<const PlainFrame::Block> blocks,
                     bool kept) {
  if (!guard_.same_process()) [[unlikely]]
    ::_exit(0);  // a child that a task forked has come back from the task
  if (!blocks.empty()) {
    const std::uint64_t position = channel_.results.position();
    if (kept && blocks[0].bytes > shm::copied_result_bytes_max) {
      space_.keep(blocks[0].offset, blocks[0].bytes);
      blocks = blocks.subspan(1);
    }
    for (const auto& block : blocks) {
      space_.free_when_drained(position, block.offset, block.bytes);
    }
  }
  channel_.results.push(message);
  channel_.manager_bell.ring();
}

void Worker::publish_error(const ring::TaskMessage& task, std::uint64_t position,
                           std::span<const std::byte> error,
                           std::vector<PlainFrame::Block> blocks) {
  ring::ResultMessage message{};
  message.flight = task.flight;
  message.kind = ring::ResultKind::error;
  message.position = position;
  message.items_done = 1;
  try {
    if (!error.empty()) {
      blocks.push_back({take_space(task.flight, error.size()), error.size()});
      std::memcpy(space_.at(blocks.back().offset), error.data(), error.size());
      message.payload.block = {blocks.back().offset, error.size()};
    }
  } catch (const ResourceError&) {
    message.payload.block = {};  // no text: decodes as a shortage of memory
  }
  publish(message, blocks);
}

std::vector<std::byte> Worker::encode_failure(const std::exception_ptr& error,
                                              std::uint64_t item) noexcept {
  if (exception_handler_.present) [[unlikely]]
    show_to_handler(error);
  return encode_error(error, item);
}

std::vector<std::byte> Worker::encode_error(const std::exception_ptr& error,
                                            std::uint64_t item) const noexcept {
  if (channel_.originals != nullptr) {
    if (auto original = channel_.originals->put(error); !original.empty()) return original;
  }
  return pool::encode_exception(error, {identity_.index, identity_.pid, item});
}

std::vector<std::byte> Worker::encode_current_exception(std::uint64_t item) const noexcept {
  return pool::encode_exception(std::current_exception(), {identity_.index, identity_.pid, item});
}

detail::Thunk Worker::thunk_of(const ring::TaskMessage& message) {
  const start::CodeToken token{message.module, message.code_offset};
  return reinterpret_cast<detail::Thunk>(code_.from_token(token.packed()));
}

std::span<const std::byte> Worker::arguments_of(const ring::TaskMessage& message) const {
  if ((message.flags & ring::payload_is_inline) != 0) {
    return {message.payload.inline_bytes, message.inline_bytes};
  }
  return channel_.argument_bytes(message.payload.block);
}

/// Says once, for `Pool::workers`, which backend the loop has, and why.
void Worker::tell_backend() noexcept {
  const std::string_view reason = loop_.backend_reason();
  if (reason.empty()) return;  // it is made at the first await
  told_backend_ = true;
  const std::size_t bytes = std::min(reason.size(), sizeof channel_.note->reason - 1);
  std::memcpy(channel_.note->reason, reason.data(), bytes);
  channel_.note->backend.store(static_cast<std::uint32_t>(loop_.backend()),
                               std::memory_order_release);
}

/// A plain task has ended. Before it is answered, so that who reads the answer finds it counted.
void Worker::measure_hold() noexcept {
  if (!watching_) return;
  stalls_.measure();
  tell_stalls();
}

void Worker::tell_stalls() noexcept {
  if (stalls_.stalls() == told_stalls_) return;
  told_stalls_ = stalls_.stalls();
  channel_.note->longest_stall_ns.store(stalls_.longest_ns(), std::memory_order_relaxed);
  channel_.note->stalls.store(told_stalls_, std::memory_order_relaxed);
}

}  // namespace pinion::workers
