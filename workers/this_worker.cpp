#include <pinion/this_worker.hpp>

#include <stdexcept>

#include "workers/coroutine_item.hpp"
#include "workers/worker.hpp"

namespace pinion {

namespace {

const workers::Worker& here() {
  const workers::Worker* worker = workers::Worker::current();
  if (worker == nullptr) {
    throw std::logic_error("pinion::this_worker and this_task mean something in a worker only");
  }
  return *worker;
}

/// What runs now, plain or coroutine.
struct Running {
  const ring::TaskMessage* message;
  std::uint64_t position;
  std::uint32_t item;
  bool cancelled;
};

Running running() {
  const workers::Worker& worker = here();
  if (const auto* frame = worker.frame()) {
    return {&frame->message(), frame->position(), frame->item, false};
  }
  const auto* loop = loop::Loop::current();
  if (loop != nullptr && loop->current_root() != nullptr) {
    const auto& item =
        *static_cast<const workers::CoroutineTasks::Item*>(loop->current_root()->user);
    return {&item.task->message, item.task->position, item.index, item.cancelled || item.timed_out};
  }
  throw std::logic_error("pinion::this_task means something inside a task only");
}

}  // namespace

bool in_worker() noexcept { return workers::Worker::current() != nullptr; }

namespace this_worker {

unsigned index() { return here().identity().index; }
const std::vector<unsigned>& cpus() { return here().identity().cpus; }
int numa_node() { return here().identity().numa_node; }
std::uint32_t generation() { return here().identity().generation; }

}  // namespace this_worker

namespace this_task {

std::uint64_t index() {
  const Running now = running();
  return now.message->first + now.item;
}

unsigned attempt() { return running().message->attempt + 1U; }

std::optional<std::chrono::steady_clock::time_point> deadline() {
  const Running now = running();
  if ((now.message->flags & ring::task_is_timed) == 0) return std::nullopt;
  const workers::Worker& worker = here();
  const auto limit = worker.verdict(now.message->flight).timeout_ns.load(std::memory_order_relaxed);
  const std::uint64_t begin = worker.started_ns(now.message->flight);
  return std::chrono::steady_clock::time_point(
      std::chrono::nanoseconds(static_cast<std::int64_t>(begin + limit)));
}

bool stop_requested() {
  const Running now = running();
  if (now.cancelled || here().abandoned()) return true;
  const auto& verdict = here().verdict(now.message->flight);
  if (verdict.stop.load(std::memory_order_acquire) == now.position + 1) return true;
  const auto limit = deadline();
  return limit && std::chrono::steady_clock::now() >= *limit;
}

}  // namespace this_task

}  // namespace pinion
