#include "lib/start/method.hpp"

#include <unistd.h>
#include <pinion/errors.hpp>
#include <pinion/init.hpp>

#include <atomic>
#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string>

#include "lib/start/anew.hpp"
#include "lib/start/host_threads.hpp"

namespace pinion {

namespace {

std::atomic<StartMethod> process_default{StartMethod::automatic};

}  // namespace

void set_start_method(StartMethod method) { process_default.store(method); }
StartMethod default_start_method() noexcept { return process_default.load(); }

namespace start {

namespace {

/// A fork copies the page tables: 147 ms for 4 GiB.
constexpr std::uint64_t forked_bytes_max = 256 << 20;

/// What a fork would have to copy the tables of: resident pages that no file backs.
std::uint64_t private_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  std::uint64_t shared = 0;
  if (!(file >> size >> resident >> shared) || shared > resident) return 0;
  return (resident - shared) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

StartMethod choose_automatically() {
  const std::string thread = other_thread();
  if (thread.empty() && (private_bytes() < forked_bytes_max || !program_takes_over())) {
    return StartMethod::fork;
  }
  if (program_takes_over()) return StartMethod::forkserver;
  throw StartError("the program has other threads (one is named \"" + thread +
                   "\"), so its workers cannot be made by fork: make the pool before the first "
                   "thread, or before "
                   "the library that makes threads is initialised; or call pinion::init(argc, "
                   "argv) in the first "
                   "line of main, so that workers can be started anew");
}

}  // namespace

StartMethod choose_method(StartMethod wanted) {
  if (wanted == StartMethod::automatic) wanted = default_start_method();
  switch (wanted) {
    case StartMethod::automatic:
      return choose_automatically();
    case StartMethod::fork:
      require_no_other_threads();
      return wanted;
    case StartMethod::forkserver:
    case StartMethod::spawn:
      require_program();
      return wanted;
    case StartMethod::thread:
    case StartMethod::serial:
      return wanted;
  }
  throw std::invalid_argument("PoolOptions::start_method is none of its values");
}

}  // namespace start
}  // namespace pinion
