// The two CPUs that everything is measured on, and being bound to one of them.
#pragma once

#include <sched.h>

#include <cstdlib>
#include <iostream>
#include <string>

namespace pinion::perf {

struct TwoCpus {
  unsigned first;   // the measuring side
  unsigned second;  // its peer
};

/// The first two CPUs this process may run on, as it was started. Ends the program (77: skipped)
/// where there is only one: nothing here can be measured on it.
inline const TwoCpus& two_cpus() {
  static const TwoCpus found = [] {
    cpu_set_t set;
    CPU_ZERO(&set);
    unsigned cpus[2] = {0, 0};
    unsigned count = 0;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
      for (unsigned cpu = 0; cpu < CPU_SETSIZE && count < 2; ++cpu) {
        if (CPU_ISSET(cpu, &set)) cpus[count++] = cpu;
      }
    }
    if (count < 2) {
      std::cout << "skipped: two usable CPUs are needed, " << count << " found\n";
      std::exit(77);
    }
    return TwoCpus{cpus[0], cpus[1]};
  }();
  return found;
}

/// A place in the grammar of OMP_PLACES that is just this CPU.
inline std::string place_of(unsigned cpu) {
  std::string place = std::to_string(cpu);
  place.insert(place.begin(), '{');
  return place + '}';
}

/// The calling thread is bound to one CPU for the life of this object. Made after the pool that is
/// measured: what the pool starts must see all CPUs.
class Pinned {
 public:
  explicit Pinned(unsigned cpu) {
    CPU_ZERO(&before_);
    sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
  }
  ~Pinned() { sched_setaffinity(0, sizeof before_, &before_); }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;

 private:
  cpu_set_t before_;
};

}  // namespace pinion::perf
