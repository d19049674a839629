#include "lib/pool/baton_code.hpp"

namespace pinion::pool {

template class BasicBaton<ring::MachineAtomics, std::mutex>;

}  // namespace pinion::pool
