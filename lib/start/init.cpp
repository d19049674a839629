#include <pinion/init.hpp>

namespace pinion {

// Workers are made by fork: no process is started anew, so there is nothing to take over.
void init(int, char**) {}

}  // namespace pinion
