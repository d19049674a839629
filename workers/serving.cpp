#include "workers/serving.hpp"

#include <cxxabi.h>
#include <unistd.h>

#include <stdexcept>
#include <system_error>
#include <utility>

#include "lib/os/membarrier.hpp"
#include "lib/start/child_process.hpp"
#include "lib/topology/binding.hpp"

namespace pinion::workers {

namespace {

/// Binds as ordered, and says what the kernel granted. A successor may find its CPUs taken away
/// meanwhile, by a cpuset that was narrowed: then it works on those that are left.
topology::CpuSet bind_as_ordered(const start::Birth& birth) {
  try {
    return topology::bind_self(topology::CpuSet::from_words(birth.cpus));
  } catch (const std::system_error&) {
    if (birth.generation == 1) throw;
    return topology::bound_cpus();
  }
}

Identity become(const start::Birth& birth, const Channel& channel) {
  Identity identity;
  identity.index = birth.worker;
  identity.generation = birth.generation;
  identity.numa_node = birth.numa_node;
  identity.pid = ::getpid();
  if (!channel.is_local()) identity.manager = birth.manager;
  if (birth.bound != 0) {
    identity.cpus = bind_as_ordered(birth).members();
  }
  if (channel.fencing == ring::Fencing::asymmetric && !os::register_membarrier()) {
    throw std::runtime_error("the worker could not register for membarrier");
  }
  return identity;
}

void begin_as(const start::Birth& birth, Channel& channel, std::optional<Worker>& worker) {
  worker.emplace(birth, channel, become(birth, channel));
  const Worker::Here here(*worker);
  worker->initialize();
  // A change of user, in the initializer, has disarmed it.
  if (!channel.is_local()) start::die_with_parent(birth.manager);
  worker->say_ready();
}

}  // namespace

bool begin(const start::Birth& birth, Channel& channel, std::optional<Worker>& worker) {
  try {
    begin_as(birth, channel, worker);
    return true;
  } catch (const abi::__forced_unwind&) {
    throw;         // pthread_exit: not an error of the initializer
  } catch (...) {  // it throws, or the worker could not be bound, say: the manager shows the text
    if (!worker) worker.emplace(birth, channel, Identity{});
    worker->say_failed(std::current_exception());
    return false;
  }
}

int serve(const start::Birth& birth, Channel& channel) {
  std::optional<Worker> worker;
  if (!begin(birth, channel, worker)) return 1;
  const Worker::Here here(*worker);
  worker->run();
  if (!worker->abandoned()) worker->finalize();
  return 0;
}

}  // namespace pinion::workers
