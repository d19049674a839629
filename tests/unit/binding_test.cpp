// Binding to CPUs: asked of the kernel, read back from it, refused by it.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <thread>

#include "lib/topology/binding.hpp"
#include "tests/support/skipped.hpp"
#include "tests/unit/child.hpp"

namespace topology = pinion::topology;
using topology::CpuSet;

TEST_CASE("binding is read back from the kernel, for this thread and another process") {
  std::thread([] {  // a thread of its own, so that the other cases keep their mask
    const CpuSet before = topology::bound_cpus();
    const CpuSet one{before.members().back()};
    CHECK(topology::bind_self(one) == one);
    CHECK(topology::bound_cpus() == one);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ::pause();
      ::_exit(0);
    }
    CHECK(topology::bound_cpus(child) == one);
    ::kill(child, SIGKILL);
    CHECK(::waitpid(child, nullptr, 0) == child);
    CHECK_THROWS_AS((void)topology::bound_cpus(child), std::system_error);
    CHECK(topology::bind_self(before) == before);
  })
      .join();
}

TEST_CASE("a mask is read whatever number of CPUs the kernel was built for (edge case 49)") {
  // A kernel wants room for all CPUs that it could have: here as one for 8,192 would.
  const int status = pinion::tests::in_child([] {
    const CpuSet before = topology::bound_cpus();
    sock_filter wants_1024_bytes[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(SYS_sched_getaffinity), 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 1024, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    pinion::tests::install_filter(wants_1024_bytes);
    unsigned long small[16];
    if (::syscall(SYS_sched_getaffinity, 0, sizeof small, small) != -1) return 1;
    return topology::bound_cpus() == before ? 0 : 2;
  });
  if (status == pinion::tests::not_allowed) {
    checks::skip("seccomp filters are not allowed here");
  } else {
    CHECK(status == 0);
  }
}

TEST_CASE("a binding that the kernel cuts down or refuses is an error with the sets") {
  std::thread([] {
    const CpuSet before = topology::bound_cpus();
    const auto error_of = [](const CpuSet& cpus) -> std::string {
      try {
        topology::bind_self(cpus);
      } catch (const std::system_error& error) {
        return error.what();
      }
      return "accepted";
    };
    CHECK(error_of({}).find("cannot bind to CPUs {}") == 0);
    CHECK(error_of({16'000}).find("cannot bind to CPUs {16000}") == 0);
    const CpuSet beyond = before | CpuSet{16'000};
    CHECK(error_of(beyond).find("asked to be bound to CPUs {" + beyond.text() +
                                "}, the kernel granted {" + before.text() + "}") == 0);
  }).join();
}
