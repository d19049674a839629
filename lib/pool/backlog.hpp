// What waits for a worker, first come first served.
#pragma once

#include <boost/circular_buffer.hpp>
#include <cstddef>

#include "lib/pool/map_state.hpp"

namespace pinion::pool {

/// A single task, or a map with items that are not given out.
struct Waiting {
  LedgerEntry* entry = nullptr;
  MapState* map = nullptr;
};

/// A queue that keeps its memory: a std::deque allocates as it moves along. With the lock held.
class Backlog {
 public:
  [[nodiscard]] bool empty() const noexcept { return items_.empty(); }
  [[nodiscard]] const Waiting& front() const noexcept { return items_.front(); }
  void pop_front() noexcept { items_.pop_front(); }
  void push_back(Waiting waiting) {
    make_room();
    items_.push_back(waiting);
  }
  void push_front(Waiting waiting) {
    make_room();
    items_.push_front(waiting);
  }
  /// Moves the first for which `matches` holds to the front; false where there is none. O(n).
  template <class Matches>
  bool promote(Matches matches) {
    for (auto it = items_.begin(); it != items_.end(); ++it) {
      if (!matches(*it)) continue;
      const Waiting found = *it;
      erase(it);
      items_.push_front(found);
      return true;
    }
    return false;
  }
  /// Takes the first for which `matches` holds out of the queue; false where there is none. O(n).
  template <class Matches>
  bool remove(Matches matches) {
    for (auto it = items_.begin(); it != items_.end(); ++it) {
      if (!matches(*it)) continue;
      erase(it);
      return true;
    }
    return false;
  }

  /// The next pushes do not allocate.
  void reserve_one() { make_room(); }
  void reserve(std::size_t more) {
    if (items_.reserve() < more) items_.set_capacity(2 * (items_.size() + more));
  }

 private:
  using Items = boost::circular_buffer<Waiting>;

  /// Moves the shorter side.
  void erase(Items::iterator it) {
    if (it - items_.begin() < items_.end() - it) {
      items_.rerase(it);
    } else {
      items_.erase(it);
    }
  }
  void make_room() {
    if (items_.full()) items_.set_capacity(items_.capacity() == 0 ? 64 : items_.capacity() * 2);
  }

  Items items_;
};

}  // namespace pinion::pool
