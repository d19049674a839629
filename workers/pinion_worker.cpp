// The program that runs the tasks of shared libraries, where the program that uses pinion does not
// call `pinion::init`, and so cannot be started anew itself.
#include <pinion/init.hpp>

#include <cstdio>

int main(int argc, char** argv) {
  pinion::init(argc, argv);
  std::fprintf(stderr, "%s is started by pinion, with the start methods forkserver and spawn\n",
               argc > 0 ? argv[0] : "pinion-worker");
  return 2;
}
