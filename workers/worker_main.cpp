#include "workers/worker_main.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <string>

#include "lib/loop/child_defaults.hpp"
#include "workers/channel.hpp"
#include "workers/serving.hpp"

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

void close_birth_descriptors(const start::BirthFds& fds) noexcept {
  for (const auto fd : {start::manager_segment_fd, start::worker_segment_fd, start::bell_segment_fd,
                        start::array_memory_fd}) {
    ::close(fds.fd[fd]);  // a mapping is all that is needed, and cannot be resized
  }
}

}  // namespace

int worker_main(const start::Birth& birth, const start::BirthFds& fds) noexcept {
  name_process(birth);
  offer_to_oom_killer();
  raise_descriptor_limit();
  int code = 1;
  try {
    Channel channel(birth, fds);
    close_birth_descriptors(fds);
    code = serve(birth, channel);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "pinion: a worker could not start: %s\n", e.what());
  }
  std::fflush(stdout);
  std::fflush(stderr);
  return code;
}

int thread_main(const start::Birth& birth, start::LocalHome& home) {
  Channel channel(birth, home);
  return serve(birth, channel);
}

}  // namespace pinion::workers
