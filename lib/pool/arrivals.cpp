#include <pinion/detail/arrivals.hpp>

#include <atomic>
#include <limits>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lib/os/clock.hpp"
#include "lib/os/futex.hpp"
#include "lib/pool/core.hpp"

namespace pinion::detail {

using pool::Core;
using pool::Ledger;

/// Whoever waits collects where all entries are of one pool. Of several only one could be collected
/// by one thread, so their callback threads do, and this sleeps on a word of its own.
class Arrivals::State final : public Watcher {
 public:
  ~State() {
    std::unordered_map<std::uint64_t, EntryHandle> out;
    {
      const std::lock_guard lock(mutex_);
      out.swap(out_);
    }
    for (const auto& [tag, handle] : out) core_of(handle).unwatch(handle.entry(), {this, tag});
  }

  void add(const EntryHandle& handle, std::uint64_t tag) {
    Core& core = core_of(handle);
    join_pools(core);
    {
      const std::lock_guard lock(mutex_);
      arrived_.reserve(arrived_.size() + out_.size() + 1);
      out_.emplace(tag, handle);
    }
    try {
      if (several_) core.when_done(handle.entry(), [handle] {});
      if (!core.watch(handle.entry(), {this, tag})) ended(tag);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      out_.erase(tag);
      throw;
    }
  }

  bool wait(std::int64_t limit_ns) {
    const std::int64_t deadline =
        limit_ns == Duration::ns_max ? os::never_ns : os::deadline_ns(limit_ns);
    const auto reached = [this] { return count_.load(std::memory_order_acquire) != 0; };
    std::optional<EntryHandle> any;
    {
      const std::lock_guard lock(mutex_);
      if (reached()) return true;
      if (out_.empty()) return false;
      if (!several_) any = out_.begin()->second;  // it keeps the pool's core
    }
    if (any) return core_of(*any).wait_until(this, reached, deadline);
    while (!reached()) {
      if (os::now_ns() >= deadline) return false;
      os::futex_wait(count_, 0, deadline);
    }
    return true;
  }

  std::optional<Arrival> take() {
    const std::lock_guard lock(mutex_);
    if (next_ == arrived_.size()) return std::nullopt;
    Arrival arrival = std::move(arrived_[next_++]);
    if (next_ == arrived_.size()) {
      arrived_.clear();
      next_ = 0;
    }
    count_.fetch_sub(1, std::memory_order_relaxed);
    return arrival;
  }

  /// A pool's lock is held, so no handle is let go here.
  void ended(std::uint64_t tag) noexcept override {
    const std::lock_guard lock(mutex_);
    const auto found = out_.find(tag);
    if (found == out_.end()) return;  // forgotten meanwhile
    arrived_.push_back({tag, std::move(found->second)});
    out_.erase(found);
    count_.fetch_add(1, std::memory_order_release);
    if (several_) os::futex_wake(count_, std::numeric_limits<int>::max());
  }

 private:
  static Core& core_of(const EntryHandle& handle) { return Ledger::of(handle.entry()).core(); }

  void join_pools(Core& core) {
    if (several_ || core_ == &core) return;
    if (std::exchange(core_, &core) == nullptr) return;
    several_ = true;
    std::vector<EntryHandle> out;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [tag, handle] : out_) out.push_back(handle);
    }
    for (const EntryHandle& handle : out) core_of(handle).when_done(handle.entry(), [handle] {});
  }

  std::mutex mutex_;
  std::unordered_map<std::uint64_t, EntryHandle> out_;
  std::vector<Arrival> arrived_;  // from `next_` on not taken
  std::size_t next_ = 0;
  std::atomic<std::uint32_t> count_{0};
  std::atomic<bool> several_{false};
  const Core* core_ = nullptr;  // of the first; the adding thread's
};

Arrivals::Arrivals() : state_(std::make_unique<State>()) {}
Arrivals::~Arrivals() = default;
void Arrivals::add(const EntryHandle& handle, std::uint64_t tag) { state_->add(handle, tag); }
bool Arrivals::wait(std::int64_t limit_ns) { return state_->wait(limit_ns); }
std::optional<Arrivals::Arrival> Arrivals::take() { return state_->take(); }

}  // namespace pinion::detail
