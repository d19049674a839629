// Fuzzing without a fuzzer: the seed programs, then programs made of them at random, for some
// seconds. A program that finds something is written to a file, and can be given to this one or to
// the fuzzer again.
//
// usage: ..._replay SECONDS | FILE...
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "fuzz/program.hpp"
#include "support/seed.hpp"

namespace {

using Program = std::vector<std::uint8_t>;
using Random = std::mt19937_64;

const Program* current = nullptr;

/// The program at hand is the finding.
void keep_program(int signal) {
  std::signal(signal, SIG_DFL);
  if (current != nullptr) {
    std::FILE* const file = std::fopen("fuzz_found", "wb");
    if (file != nullptr) {
      std::fwrite(current->data(), 1, current->size(), file);
      std::fclose(file);
      std::fputs("the program is in fuzz_found\n", stderr);
    }
  }
  std::raise(signal);
}

/// Bytes as steps need them: small ones and the ends of ranges more often.
std::uint8_t some_byte(Random& random) {
  switch (random() % 4) {
    case 0:
      return static_cast<std::uint8_t>(random() % 20);
    case 1:
      return static_cast<std::uint8_t>(random() % 3 == 0 ? 255 : 0);
    default:
      return static_cast<std::uint8_t>(random());
  }
}

void mutate(Program& program, const Program& other, Random& random) {
  const auto at = [&](const Program& p) {
    return static_cast<std::ptrdiff_t>(random() % (p.size() + 1));
  };
  for (auto n = random() % 8 + 1; n > 0; --n) {
    switch (random() % 5) {
      case 0:
        if (!program.empty()) program[random() % program.size()] = some_byte(random);
        break;
      case 1:
        program.insert(program.begin() + at(program), some_byte(random));
        break;
      case 2:
        if (!program.empty())
          program.erase(program.begin() + std::min(at(program), std::ssize(program) - 1));
        break;
      case 3: {  // a piece of another
        const auto from = at(other);
        const auto count = std::min<std::ptrdiff_t>(std::ssize(other) - from, 40);
        program.insert(program.begin() + at(program), other.begin() + from,
                       other.begin() + from + count);
        break;
      }
      case 4: {  // new steps at the end
        for (auto m = random() % 30; m > 0; --m) {
          program.push_back(static_cast<std::uint8_t>(random() % 20));
          for (auto o = random() % 12; o > 0; --o) program.push_back(some_byte(random));
        }
        break;
      }
    }
  }
  if (program.size() > 4096) program.resize(4096);
}

void run(const Program& program) {
  current = &program;
  fuzz::run_program(program);
  current = nullptr;
}

int run_files(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    fuzz::run_program({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
    std::printf("%s: nothing found\n", argv[i]);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: ..._replay SECONDS | FILE...\n", stderr);
    return 2;
  }
  char* end = nullptr;
  const double seconds = std::strtod(argv[1], &end);
  if (*end != '\0') return run_files(argc, argv);
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGALRM}) std::signal(signal, keep_program);
  Random random = checks::seeded();
  const auto seeds = fuzz::seed_programs();
  std::vector<Program> programs = seeds;
  using Clock = std::chrono::steady_clock;
  const auto until = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                        std::chrono::duration<double>(seconds));
  std::uint64_t count = 0;
  for (const Program& program : seeds) {
    ::alarm(20);  // none takes a second
    run(program);
    ++count;
  }
  while (Clock::now() < until) {
    // Of one of those before: so they get further and further away from the seeds.
    Program program = programs[random() % programs.size()];
    mutate(program, programs[random() % programs.size()], random);
    ::alarm(20);
    run(program);
    ++count;
    if (programs.size() < 2000) {
      programs.push_back(std::move(program));
    } else {
      programs[seeds.size() + random() % (programs.size() - seeds.size())] = std::move(program);
    }
  }
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  std::printf("%llu programs, at most %ld MiB\n", static_cast<unsigned long long>(count),
              usage.ru_maxrss / 1024);
  return 0;
}
