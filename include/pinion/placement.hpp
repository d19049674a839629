// Where workers go: the request, as the user writes it. lib/topology resolves it.
#pragma once

#include <string>
#include <string_view>

namespace pinion {

/// How workers are dealt to places, as OpenMP's `proc_bind` has it.
enum class Bind {
  close,   ///< worker i on place i
  spread,  ///< as far apart as can be: on the first place of each of equal parts of the list
  primary  ///< all on the first place
};

/// Which CPUs the workers are bound to.
///
/// Default: one worker per usable physical core, closest first; `PINION_PLACES` and, as a hint,
/// `OMP_PLACES` change it. A text follows the grammar of `OMP_PLACES` (OpenMP 5.2, section 21.1.6):
///
///     threads, cores, ll_caches, numa_domains, sockets   all that are usable, one place each
///     cores(4)                                           the first four
///     {0,1},{2,3}                                        two places of two CPUs
///     {0:4}:8:4                                          eight places of four CPUs, each 4 further
///     on {0:8,!3},{8:8}:2:8,!{16:8}                         `!` takes out a CPU, or a place
///
/// or is a CPU list as the kernel writes it, "0-7,16": a place for each CPU. "none" binds nothing.
/// A CPU outside the usable set is an error (`std::invalid_argument` from the pool), not a clamp;
/// more workers than places wrap round them: worker i on place i mod places.
class Placement {
 public:
  Placement() = default;
  explicit Placement(std::string_view places, Bind bind = Bind::close)
      : places_(places), bind_(bind) {}

  /// Binds nothing: workers run wherever the scheduler puts them.
  static Placement none() {
    Placement p;
    p.none_ = true;
    return p;
  }

  /// The same placement that keeps `cores` cores free for the caller.
  [[nodiscard]] Placement spare(unsigned cores) const {
    Placement p = *this;
    p.spare_ = cores;
    return p;
  }

  [[nodiscard]] bool is_none() const noexcept { return none_; }
  [[nodiscard]] bool is_default() const noexcept { return !none_ && places_.empty(); }
  [[nodiscard]] const std::string& places() const noexcept { return places_; }
  [[nodiscard]] Bind bind() const noexcept { return bind_; }
  [[nodiscard]] unsigned spare_cores() const noexcept { return spare_; }

 private:
  std::string places_;
  Bind bind_ = Bind::close;
  bool none_ = false;
  unsigned spare_ = 0;
};

}  // namespace pinion
