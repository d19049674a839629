#include "lib/topology/openmp_places.hpp"

#include <dlfcn.h>

#include <vector>

namespace pinion::topology {
namespace {

template <class Function>
Function* find(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_DEFAULT, name));
}

}  // namespace

std::optional<CpuSet> openmp_places() {
  // The C interface of OpenMP 4.5, section 3.2. omp_proc_bind_false is 0.
  auto* const proc_bind = find<int()>("omp_get_proc_bind");
  auto* const num_places = find<int()>("omp_get_num_places");
  auto* const place_num_procs = find<int(int)>("omp_get_place_num_procs");
  auto* const place_proc_ids = find<void(int, int*)>("omp_get_place_proc_ids");
  if (!proc_bind || !num_places || !place_num_procs || !place_proc_ids) return std::nullopt;
  if (proc_bind() == 0) return std::nullopt;

  CpuSet all;
  const int places = num_places();
  for (int place = 0; place < places; ++place) {
    const int count = place_num_procs(place);
    if (count <= 0) continue;
    std::vector<int> ids(static_cast<std::size_t>(count), -1);
    place_proc_ids(place, ids.data());
    for (const int id : ids) {
      if (id >= 0 && static_cast<unsigned>(id) < CpuSet::cpu_limit) {
        all.add(static_cast<unsigned>(id));
      }
    }
  }
  if (all.empty()) return std::nullopt;
  return all;
}

}  // namespace pinion::topology
