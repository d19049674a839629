#include "workers/worker_main.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <system_error>

#include "lib/loop/child_defaults.hpp"
#include "lib/os/membarrier.hpp"
#include "lib/pool/remote_exception.hpp"
#include "lib/start/child_process.hpp"
#include "lib/topology/binding.hpp"
#include "workers/channel.hpp"
#include "workers/worker.hpp"

namespace pinion::workers {

namespace {

void name_process(const start::Birth& birth) noexcept {
  const std::string name = "pinion-" + std::to_string(birth.worker);
  ::prctl(PR_SET_NAME, name.c_str());
}

/// When memory runs out, a worker goes before the program that owns it.
void offer_to_oom_killer() noexcept {
  const int fd = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  (void)!::write(fd, "500", 3);
  ::close(fd);
}

void raise_descriptor_limit() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  loop::ChildDefaults defaults;
  defaults.nofile = limit;
  defaults.restore_sigint = true;
  loop::set_child_defaults(defaults);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

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

Identity become(const start::Birth& birth) {
  Identity identity;
  identity.index = birth.worker;
  identity.generation = birth.generation;
  identity.numa_node = birth.numa_node;
  identity.pid = ::getpid();
  identity.manager = birth.manager;
  if (birth.bound != 0) {
    identity.cpus = bind_as_ordered(birth).members();
  }
  return identity;
}

void close_birth_descriptors(const start::BirthFds& fds) noexcept {
  for (const auto fd :
       {start::manager_segment_fd, start::worker_segment_fd, start::bell_segment_fd}) {
    ::close(fds.fd[fd]);  // a mapping is all that is needed, and cannot be resized
  }
}

int serve(const start::Birth& birth, Channel& channel, Identity identity) {
  Worker worker(birth, channel, std::move(identity));
  try {
    worker.initialize();
  } catch (...) {
    worker.say_failed(worker.encode_current_exception(0));
    return 1;
  }
  // A change of user, in the initializer, has disarmed it.
  start::die_with_parent(birth.manager);
  worker.say_ready();
  worker.run();
  worker.finalize();
  return 0;
}

}  // namespace

int worker_main(const start::Birth& birth, const start::BirthFds& fds) {
  name_process(birth);
  offer_to_oom_killer();
  raise_descriptor_limit();
  int code = 1;
  try {
    Channel channel(birth, fds);
    close_birth_descriptors(fds);
    try {
      Identity identity = become(birth);
      if (channel.fencing == ring::Fencing::asymmetric && !os::register_membarrier()) {
        throw std::runtime_error("the worker could not register for membarrier");
      }
      code = serve(birth, channel, std::move(identity));
    } catch (...) {  // it could not be bound, say: the manager shows the text
      Worker worker(birth, channel, Identity{});
      worker.say_failed(worker.encode_current_exception(0));
    }
  } catch (const std::exception& e) {
    std::fprintf(stderr, "pinion: a worker could not start: %s\n", e.what());
  }
  std::fflush(stdout);
  std::fflush(stderr);
  return code;
}

}  // namespace pinion::workers
