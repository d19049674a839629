// libFuzzer's entry. `--make-seeds=DIRECTORY` as the first argument writes the seed programs there.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "fuzz/program.hpp"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  const std::string option = "--make-seeds=";
  if (*argc < 2 || std::string((*argv)[1]).rfind(option, 0) != 0) return 0;
  const std::string directory = (*argv)[1] + option.size();
  int number = 0;
  for (const auto& program : fuzz::seed_programs()) {
    std::ofstream file(directory + "/seed-" + std::to_string(number++), std::ios::binary);
    file.write(reinterpret_cast<const char*>(program.data()),
               static_cast<std::streamsize>(program.size()));
    if (!file.flush()) {
      std::fprintf(stderr, "the seeds cannot be written to %s\n", directory.c_str());
      std::exit(1);
    }
  }
  std::exit(0);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::run_program({data, size});
  return 0;
}
