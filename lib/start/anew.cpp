#include "lib/start/anew.hpp"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <pinion/errors.hpp>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "lib/os/clock.hpp"
#include "lib/os/fd_passing.hpp"
#include "lib/os/pidfd.hpp"
#include "lib/start/child_process.hpp"
#include "lib/start/nursery.hpp"

#ifndef PINION_WORKER_PROGRAM
#define PINION_WORKER_PROGRAM "/usr/local/libexec/pinion-worker"
#endif

namespace pinion::start {

namespace {

constexpr int started_socket = 3;  // in the new program
constexpr const char* role_option = "--pinion-start-as=";
constexpr const char* names[] = {"nursery", "worker"};

std::atomic<bool> init_was_called{false};

std::string worker_program() {
  const char* const given = std::getenv("PINION_WORKER");
  return given != nullptr && *given != '\0' ? given : PINION_WORKER_PROGRAM;
}

/// The file, not the link: the link would name whoever opens it.
std::string own_program() {
  char path[PATH_MAX];
  const ssize_t n = ::readlink("/proc/self/exe", path, sizeof path);
  const std::string found(path, n > 0 ? static_cast<std::size_t>(n) : 0);
  // Replaced or removed since it was started: the link still leads to the code that runs.
  return ::access(found.c_str(), X_OK) == 0 ? found : "/proc/self/exe";
}

/// What posix_spawn is asked for.
class Plan {
 public:
  explicit Plan(int socket) {
    check(::posix_spawn_file_actions_init(&files_));
    check(::posix_spawnattr_init(&attributes_));
    // Onto itself it would stay close-on-exec in older libraries.
    check(::posix_spawn_file_actions_adddup2(&files_, socket, started_socket));
    check(::posix_spawn_file_actions_addclosefrom_np(&files_, started_socket + 1));
    sigset_t none;
    ::sigemptyset(&none);
    check(::posix_spawnattr_setsigmask(&attributes_, &none));
    check(::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK));
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  ~Plan() {
    ::posix_spawn_file_actions_destroy(&files_);
    ::posix_spawnattr_destroy(&attributes_);
  }

  pid_t start(const std::string& program, char* const* argv) {
    pid_t pid = 0;
    const int error = ::posix_spawn(&pid, program.c_str(), &files_, &attributes_, argv, environ);
    if (error != 0) os::throw_errno(error, ("starting " + program + " as a worker").c_str());
    return pid;
  }

 private:
  static void check(int error) {
    if (error != 0) os::throw_errno(error, "preparing to start a program as a worker");
  }

  posix_spawn_file_actions_t files_;
  posix_spawnattr_t attributes_;
};

[[noreturn]] void be_spawned_worker(WorkerMain worker_main, pid_t manager) {
  die_with_parent(manager);
  reset_signals();
  Birth birth;
  BirthFds fds{};
  {
    const os::Fd socket(started_socket);
    std::array<std::byte, sizeof birth> bytes;
    os::Received order = os::receive_message(socket.get(), bytes, os::never_ns);
    if (order.bytes != sizeof birth) ::_exit(0);  // the manager has given it up
    if (order.fds.size() != birth_fds) ::_exit(123);
    std::memcpy(&birth, bytes.data(), sizeof birth);
    for (unsigned i = 0; i < birth_fds; ++i) fds.fd[i] = order.fds[i].release();
  }
  ::_exit(worker_main(birth, fds));
}

}  // namespace

bool program_takes_over() noexcept { return init_was_called.load(); }

void require_program() {
  if (program_takes_over()) return;
  const std::string program = worker_program();
  if (::access(program.c_str(), X_OK) == 0) return;
  throw StartError(
      "workers cannot be started anew: the program does not call pinion::init(argc, argv) "
      "in the first line of main, and " +
      program +
      " (pinion-worker, which runs tasks of shared libraries; the environment variable "
      "PINION_WORKER names another) cannot be run: " +
      std::strerror(errno));
}

pid_t start_anew(Role role, int socket) {
  // Numbers up to the socket's are closed in the child, so it must not be the first of them itself.
  const os::Fd high = os::move_high(os::Fd(::dup(socket)));
  if (!high) os::throw_errno("duplicating a socket");
  std::string name = std::string("pinion-") + names[static_cast<int>(role)];
  std::string option =
      role_option + std::string(names[static_cast<int>(role)]) + ":" + std::to_string(::getpid());
  char* argv[] = {name.data(), option.data(), nullptr};
  Plan plan(high.get());
  return plan.start(program_takes_over() ? own_program() : worker_program(), argv);
}

void take_over(int argc, char** argv, WorkerMain worker_main) {
  init_was_called.store(true);
  if (argc != 2 || std::strncmp(argv[1], role_option, std::strlen(role_option)) != 0) return;
  const std::string what = argv[1] + std::strlen(role_option);
  const std::size_t colon = what.find(':');
  const pid_t manager =
      colon == std::string::npos ? 0 : static_cast<pid_t>(std::atol(what.c_str() + colon + 1));
  if (manager != ::getppid()) {
    std::fprintf(stderr, "%s: %s is for pinion's own use\n", argv[0], argv[1]);
    ::_exit(2);
  }
  try {
    if (what.compare(0, colon, names[0]) == 0) be_nursery(worker_main, started_socket, manager);
    be_spawned_worker(worker_main, manager);
  } catch (const std::exception&) {  // the manager is gone, or its order could not be read
    ::_exit(124);
  }
}

Newborn Spawner::make(Birth birth, const BirthFds& fds, std::int64_t) {
  auto [ours, theirs] = os::make_socket_pair();
  const pid_t pid = start_anew(Role::worker, theirs.get());
  try {
    // Our child, and nobody else waits for it before we do.
    os::Fd pidfd = os::move_high(os::open_pidfd(pid));
    std::array<std::byte, sizeof birth> bytes;
    std::memcpy(bytes.data(), &birth, sizeof birth);
    os::send_message(ours.get(), bytes, fds.fd);
    return {pid, std::move(pidfd), nullptr};
  } catch (...) {
    ::kill(pid, SIGKILL);
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    throw;
  }
}

}  // namespace pinion::start
