// The `pinion` command.

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "commands.hpp"
#include "errors.hpp"

namespace {

constexpr const char* help =
    R"(Usage: pinion run [options] command {} ::: arguments...
       pinion topo [options]
       pinion --version

  run    runs a command for each argument, on pinned cores, several at once
  topo   shows which CPUs a pool may use and what it would do with them

pinion run --help and pinion topo --help tell more.
)";

// A descriptor that is not open would be given to the next file, which then receives the output.
// Opened the wrong way round, it gives the error that it should.
void reserve_standard_descriptors() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    // The lowest free number is `fd`: those below are open by now.
    if (::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0) return;
  }
}

}  // namespace

int main(int argc, char** argv) {
  reserve_standard_descriptors();
  const std::string subcommand = argc > 1 ? argv[1] : "--help";
  const std::vector<std::string> arguments(argv + (argc > 1 ? 2 : 1), argv + argc);
  if (subcommand == "run") return pinion::command::run_command(arguments);
  if (subcommand == "topo") return pinion::command::topo_command(arguments);
  if (subcommand == "--version") {
    fmt::print("pinion {}\n", PINION_VERSION);
    return 0;
  }
  if (subcommand == "--help" || subcommand == "-h") {
    fmt::print("{}", help);
    return argc > 1 ? 0 : 255;
  }
  fmt::print(stderr, "pinion: there is no subcommand '{}'\n{}",
             pinion::command::printable(subcommand), help);
  return 255;
}
