#include "lib/topology/usable_cpus.hpp"

#include <algorithm>
#include <stdexcept>
#include <string_view>

#include "lib/topology/binding.hpp"
#include "lib/topology/cgroup_limits.hpp"
#include "lib/topology/openmp_places.hpp"
#include "lib/topology/small_file.hpp"

namespace pinion::topology {
namespace {

// Narrows a set by one source after the other and keeps the account.
class Narrowing {
 public:
  explicit Narrowing(CpuSet mask) { result_.cpus = std::move(mask); }

  // `kind` names the source, `file` where it was read, if anywhere.
  void by(std::string kind, const CpuSet& cpus, const std::string& file = {}) {
    UsableSource source{std::move(kind), cpus.text()};
    if (!file.empty()) source.said += " (" + file + ")";
    CpuSet left = reference_.empty() ? cpus : reference_ & cpus;
    if (!left.intersects(result_.cpus)) {
      source.said += "; ignored, since it leaves no CPU";
    } else if (left != reference_) {
      reference_ = std::move(left);
      decided_ = result_.sources.size();
    }
    result_.sources.push_back(std::move(source));
  }

  void silent(std::string kind, std::string said) {
    result_.sources.push_back({std::move(kind), std::move(said)});
  }

  // The last word, of a mask or of what stands for one.
  void by_mask(std::string kind, const CpuSet& cpus) {
    CpuSet expected = reference_ - isolated_;
    if (expected.empty()) expected = reference_;
    result_.bound = expected.empty() || !expected.is_subset_of(cpus);
    by(std::move(kind), cpus);
  }

  void isolated(CpuSet cpus, const std::string& file) {
    silent("isolated CPUs", cpus.text() + " (" + file + "); usable if in the mask");
    isolated_ = std::move(cpus);
  }

  void quota(const std::optional<CgroupQuota>& quota) {
    if (!quota) return silent("CPU quota", "no limit");
    const unsigned cores = quota->cores();
    result_.quota_cores = cores;
    if (cores < reference_.count()) decided_ = result_.sources.size();
    silent("CPU quota", std::to_string(cores) + (cores == 1 ? " core" : " cores") +
                            " of CPU time (" + std::to_string(quota->quota_us) + " us of every " +
                            std::to_string(quota->period_us) + " us, " + quota->file + ")");
  }

  UsableCpus finish() {
    result_.cpus = reference_;
    result_.sources[decided_].decided = true;
    return std::move(result_);
  }

 private:
  UsableCpus result_;   // its set is the mask until the end: what the kernel enforces
  CpuSet reference_{};  // what the sources so far have left
  CpuSet isolated_{};
  std::size_t decided_ = 0;  // the source that last took something away
};

void by_online(Narrowing& narrowing, const std::string& root) {
  const std::string file = "/sys/devices/system/cpu/online";
  try {
    const auto text = read_small_file(root + file);
    const CpuSet online = CpuSet::parse(text.value_or(""));
    if (!online.empty()) return narrowing.by("online CPUs", online, file);
  } catch (const std::invalid_argument&) {  // not a CPU list: says nothing
  }
  narrowing.silent("online CPUs", "unknown (" + file + ")");
}

// The scheduler leaves these alone, and no mask has them unless somebody put them there. They say
// nothing of what is usable, but explain a mask with holes.
void show_isolated(Narrowing& narrowing, const std::string& root) {
  const std::string file = "/sys/devices/system/cpu/isolated";
  try {
    CpuSet isolated = CpuSet::parse(read_small_file(root + file).value_or(""));
    if (!isolated.empty()) narrowing.isolated(std::move(isolated), file);
  } catch (const std::invalid_argument&) {  // not a CPU list: says nothing
  }
}

// Whether the user asked an OpenMP runtime to bind. Without it the runtime is not even looked for,
// since a question can make it initialise itself.
bool openmp_binds(const Environment& environment) {
  constexpr const char* names[] = {"OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY",
                                   "KMP_AFFINITY"};
  return std::any_of(std::begin(names), std::end(names), [&](const char* name) {
    const char* const value = environment(name);
    return value != nullptr && *value != '\0';
  });
}

}  // namespace

std::string UsableCpus::decided_by() const {
  const auto source =
      std::find_if(sources.begin(), sources.end(), [](const auto& s) { return s.decided; });
  return source == sources.end() ? "affinity mask" : source->name;
}

std::string UsableCpus::why() const {
  std::string text;
  for (const UsableSource& source : sources) {
    text += (source.decided ? "* " : "  ") + source.name + ": " + source.said + "\n";
  }
  return text;
}

UsableCpus usable_cpus(const UsableQuery& query) {
  const CpuSet mask = query.affinity ? query.affinity() : bound_cpus();
  const CgroupLimits limits = read_cgroup_limits(query.root);

  std::optional<CpuSet> places;
  if (openmp_binds(query.environment)) {
    places = query.openmp_places ? query.openmp_places() : openmp_places();
    // Bound by the runtime means: one of its places, not all of them.
    if (places && (*places == mask || !mask.is_subset_of(*places))) places.reset();
  }

  Narrowing narrowing(places ? *places : mask);
  by_online(narrowing, query.root);
  show_isolated(narrowing, query.root);
  for (const CgroupCpuset& cpuset : limits.cpusets) {
    narrowing.by("cgroup cpuset", cpuset.cpus, cpuset.file);
  }
  if (places) {
    narrowing.silent("affinity mask", mask.text() + " (one place of the OpenMP runtime)");
    narrowing.by_mask("OpenMP places", *places);
  } else {
    narrowing.by_mask("affinity mask", mask);
  }
  narrowing.quota(limits.quota);
  return narrowing.finish();
}

}  // namespace pinion::topology
