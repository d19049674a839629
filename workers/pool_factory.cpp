// Makes pools: the one place that knows both the manager's side and the workers'.

#include <pinion/detail/pool_core.hpp>
#include <pinion/errors.hpp>
#include <pinion/init.hpp>

#include <algorithm>
#include <csignal>
#include <stdexcept>
#include <utility>

#include "lib/pool/core.hpp"
#include "lib/start/method.hpp"
#include "workers/worker.hpp"
#include "workers/worker_guest.hpp"
#include "workers/worker_main.hpp"

namespace pinion::detail {

namespace {

bool is_local(StartMethod method) noexcept {
  return method == StartMethod::thread || method == StartMethod::serial;
}

}  // namespace

void make_pool(PoolOptions options, PoolCore*& core) {
  if (options.start_method == StartMethod::automatic) options.start_method = default_start_method();
  if (workers::Worker::current() != nullptr && !is_local(options.start_method)) {
    throw StartError(
        "a pool of processes cannot be made in a worker: it is bound to its core, and its own "
        "pool's other workers need theirs; make all pools in the main program");
  }
  options.start_method = start::choose_method(options.start_method);
  if (is_local(options.start_method) && options.max_rss_per_child != 0) {
    throw std::invalid_argument(
        "PoolOptions::max_rss_per_child: workers that are no processes have no memory of their "
        "own");
  }
  if (options.start_method == StartMethod::serial) {
    if (options.io == IoBackend::uring) {
      throw std::invalid_argument(
          "PoolOptions::io: an io_uring belongs to one thread, and with the start method serial "
          "any may wait");
    }
    options.io = IoBackend::poll;
    options.processes = std::max(options.processes, 1U);
    options.placement = Placement::none();  // callers are where they are
  }
  start::WorkerCode code{&workers::worker_main, &workers::thread_main, &workers::make_guest, {}};
  ::pthread_sigmask(SIG_SETMASK, nullptr, &code.signals);
  pool::Core::make(std::move(options), code, core);
}

}  // namespace pinion::detail
