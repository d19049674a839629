// Runs a program in which io_uring's system calls fail, as they do in many containers.
//
// usage: refuse_uring EPERM|ENOSYS|EOPNOTSUPP PROGRAM [ARGUMENT...]
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "fault/refuse.hpp"

namespace {

int error_named(std::string_view name) {
  if (name == "EPERM") return EPERM;
  if (name == "ENOSYS") return ENOSYS;
  if (name == "EOPNOTSUPP") return EOPNOTSUPP;
  return 0;
}

bool is_refused(long call, int error) {
  errno = 0;
  return ::syscall(call, 0, nullptr) == -1 && errno == error;
}

}  // namespace

int main(int argc, char** argv) {
  const int error = argc > 2 ? error_named(argv[1]) : 0;
  if (error == 0) {
    std::fprintf(stderr, "usage: %s EPERM|ENOSYS|EOPNOTSUPP PROGRAM [ARGUMENT...]\n", argv[0]);
    return 2;
  }
  for (const long call : {SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register}) {
    if (!checks::refuse(call, error) || !is_refused(call, error)) {
      std::fprintf(stderr, "skipped: system calls cannot be filtered here: %s\n",
                   std::strerror(errno));
      return 77;
    }
  }
  ::execvp(argv[2], argv + 2);
  std::fprintf(stderr, "%s: %s\n", argv[2], std::strerror(errno));
  return 1;
}
