// Several results that somebody waits for together.
#pragma once

#include <pinion/detail/entry_handle.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace pinion::detail {

/// Says which of the entries that were added have ended, each once, in the order in which they did.
/// They may be of several pools. One thread at a time.
class PINION_API Arrivals {
 public:
  struct Arrival {
    std::uint64_t tag;
    EntryHandle handle;
  };

  Arrivals();
  Arrivals(const Arrivals&) = delete;
  Arrivals& operator=(const Arrivals&) = delete;
  /// What has not ended is forgotten. O(what has not).
  ~Arrivals();

  /// O(1). Throws `std::bad_alloc`, and `std::logic_error` for an empty handle.
  void add(const EntryHandle& handle, std::uint64_t tag);
  /// Waits until `take` has something; false when the time is up (nanoseconds from now;
  /// `Duration::ns_max`: no limit), or where nothing is left to end. Collects meanwhile.
  bool wait(std::int64_t limit_ns);
  /// The next that has ended, if one has. O(1).
  std::optional<Arrival> take();

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace pinion::detail
