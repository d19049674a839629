#include <pinion/init.hpp>

#include "lib/start/anew.hpp"
#include "workers/worker_main.hpp"

namespace pinion {

void init(int argc, char** argv) { start::take_over(argc, argv, &workers::worker_main); }

}  // namespace pinion
