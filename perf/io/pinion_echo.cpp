// The echo by the coroutines of one task, on either backend: a coroutine for each connection.
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "perf/harness/contestant.hpp"
#include "perf/harness/one_worker.hpp"
#include "perf/io/echo_client.hpp"

namespace pinion::perf {
namespace {

Task<> serve_one(int fd) {
  std::array<std::byte, sizes::echo_buffer_bytes> buffer;
  for (;;) {
    const std::size_t n = co_await io::recv(fd, buffer);
    if (n == 0) break;
    const std::size_t sent = co_await io::send(fd, std::span(buffer).first(n), MSG_NOSIGNAL);
    if (sent != n) throw std::runtime_error("a short send");
  }
  ::close(fd);
}

Task<> serve(std::string name) {
  const int listener = listen_at(name);
  TaskGroup group;
  for (unsigned i = 0; i < sizes::echo_connections; ++i) {
    const int fd = co_await io::accept(listener);
    group.start(serve_one(fd));
  }
  ::close(listener);
  co_await group.wait();
}

Sample echo(IoBackend io) {
  PoolOptions options = one_worker();
  options.io = io;
  Pool pool(options);
  const Pinned pinned(two_cpus().first);
  const std::string name = echo_name();
  const auto served = pool.apply_async(serve, name);
  const double seconds = run_client(name);
  served.get();
  return {seconds, std::uint64_t{sizes::echo_rounds} * sizes::echo_connections};
}

const Contestant uring{"io/pinion_echo_uring", [] { return echo(IoBackend::uring); }};
const Contestant poll{"io/pinion_echo_poll", [] { return echo(IoBackend::poll); }};

}  // namespace
}  // namespace pinion::perf
