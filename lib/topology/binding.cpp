#include "lib/topology/binding.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <system_error>
#include <vector>

namespace pinion::topology {

static_assert(sizeof(unsigned long) == sizeof(std::uint64_t),
              "the kernel's masks are arrays of unsigned long, ours of 64-bit words");

CpuSet bound_cpus(pid_t thread) {
  // The raw call, since glibc's fixed set ends at CPU 1,023. The kernel wants room for every CPU
  // it was built for and answers EINVAL until it has it.
  for (std::size_t words = 16; words <= CpuSet::cpu_limit / 64; words *= 2) {
    std::vector<std::uint64_t> mask(words);
    const long bytes =
        ::syscall(SYS_sched_getaffinity, thread, words * sizeof(std::uint64_t), mask.data());
    if (bytes >= 0) return CpuSet::from_words(mask);
    if (errno != EINVAL) break;
  }
  throw std::system_error(errno, std::generic_category(),
                          "cannot read the CPUs of thread " + std::to_string(thread));
}

CpuSet bind_self(const CpuSet& cpus) {
  const auto words = cpus.words();
  if (::syscall(SYS_sched_setaffinity, 0, words.size_bytes(), words.data()) != 0) {
    throw std::system_error(errno, std::generic_category(),
                            "cannot bind to CPUs {" + cpus.text() + "}");
  }
  CpuSet granted = bound_cpus();
  if (granted != cpus) {
    throw std::system_error(EXDEV, std::generic_category(),
                            "asked to be bound to CPUs {" + cpus.text() +
                                "}, the kernel granted {" + granted.text() + "}");
  }
  return granted;
}

}  // namespace pinion::topology
