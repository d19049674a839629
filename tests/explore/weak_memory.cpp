// The view machine.
//
// A message is known by its location and its time. Times of one location are its modification
// order; a store may come before messages of other threads that its own thread has not seen, so
// times have gaps. Nothing may come between a read-modify-write and the message that it read.
//
//   load    any message from the thread's view on; acquire: the thread's view joins the message's
//   store   anywhere behind the thread's view; release: the message gets the thread's view, else
//           that of its last fence
//   fence   acquire what was read before it, join the view of all sequentially consistent fences,
//           leave the result there, and let later relaxed stores carry it
//
// A sequentially consistent access reads nothing older, and stores nothing earlier, than what such
// accesses of the same location, or fences, have read or stored before it.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

#include "tests/explore/models.hpp"

namespace explore {

namespace {

using Time = std::uint16_t;
constexpr Time gap = 64;

struct View {
  std::array<Time, locations_max> at{};

  void join(const View& other) noexcept {
    for (std::size_t i = 0; i < locations_max; ++i) at[i] = std::max(at[i], other.at[i]);
  }
};

struct Message {
  Time time;
  bool attached;  // a read-modify-write of the message before it
  Value value;
  View view;
};

struct ThreadView {
  View now;       // what it may read no older than
  View acquired;  // what it would have taken over, had its relaxed loads been acquire loads
  View released;  // what its relaxed stores carry: of its last fence
};

class WeakMemory final : public Memory {
 public:
  void reset(unsigned threads) override {
    threads_ = threads;
    count_ = 0;
    sc_ = View{};
  }
  Location add(Value initial) override {
    if (count_ == histories_.size()) histories_.emplace_back();
    histories_[count_].assign(1, Message{0, false, initial, View{}});
    return static_cast<Location>(count_++);
  }
  Value look(Location at) const override { return histories_[at].back().value; }
  void put(Location at, Value value) override {
    histories_[at].assign(1, Message{0, false, value, View{}});
  }
  void begin() override { views_.fill(ThreadView{}); }

  Value load(unsigned thread, Location at, Order order, Chooser& chooser) override {
    const History& history = histories_[at];
    const std::size_t first = oldest(thread, at, order);
    const auto back =
        static_cast<std::size_t>(chooser.choose(static_cast<unsigned>(history.size() - first)));
    const Message& message = history[history.size() - 1 - back];
    read(thread, at, message, order);
    return message.value;
  }

  void store(unsigned thread, Location at, Value value, Order order, Chooser& chooser) override {
    History& history = histories_[at];
    const std::size_t first = oldest(thread, at, order);
    places_.clear();
    for (std::size_t i = history.size(); i-- > first;) {
      if (!has_attached(history, i)) places_.push_back(i);
    }
    const std::size_t before = places_[chooser.choose(static_cast<unsigned>(places_.size()))];
    write(thread, at, before, value, order, false);
  }

  Value update(unsigned thread, Location at, const Change& change, Order order,
               Chooser& chooser) override {
    History& history = histories_[at];
    const std::size_t first = oldest(thread, at, order);
    places_.clear();
    for (std::size_t i = history.size(); i-- > first;) {
      if (!change.writes(history[i].value) || !has_attached(history, i)) places_.push_back(i);
    }
    const std::size_t from = places_[chooser.choose(static_cast<unsigned>(places_.size()))];
    const Value value = history[from].value;
    read(thread, at, history[from], order);
    if (change.writes(value)) write(thread, at, from, change.apply(value), order, true);
    return value;
  }

  void fence(unsigned thread) override {
    ThreadView& mine = views_[thread];
    mine.now.join(mine.acquired);
    mine.now.join(sc_);
    sc_ = mine.acquired = mine.released = mine.now;
  }

  bool buffered(unsigned) const override { return false; }
  Location next_flush(unsigned) const override { return 0; }
  Location flush(unsigned) override { return 0; }

  void catch_up(unsigned thread) override {
    for (Location at = 0; at < count_; ++at) {
      views_[thread].now.at[at] = histories_[at].back().time;
    }
    views_[thread].acquired.join(views_[thread].now);
  }

 private:
  using History = std::vector<Message>;

  static bool has_attached(const History& history, std::size_t i) {
    return i + 1 < history.size() && history[i + 1].attached;
  }
  [[nodiscard]] std::size_t oldest(unsigned thread, Location at, Order order) const {
    Time time = views_[thread].now.at[at];
    if (order.sc) time = std::max(time, sc_.at[at]);
    const History& history = histories_[at];
    std::size_t i = history.size() - 1;
    while (history[i].time > time) --i;
    return i;
  }
  void read(unsigned thread, Location at, const Message& message, Order order) {
    ThreadView& mine = views_[thread];
    mine.now.at[at] = std::max(mine.now.at[at], message.time);
    mine.acquired.at[at] = std::max(mine.acquired.at[at], message.time);
    mine.acquired.join(message.view);
    if (order.acquire) mine.now.join(message.view);
    if (order.sc) sc_.at[at] = std::max(sc_.at[at], message.time);
  }
  void write(unsigned thread, Location at, std::size_t before, Value value, Order order,
             bool attached) {
    History& history = histories_[at];
    const Time low = history[before].time;
    const Time time = before + 1 == history.size()
                          ? static_cast<Time>(low + gap)
                          : static_cast<Time>(low + (history[before + 1].time - low) / 2);
    if (time == low) std::abort();  // more stores between two others than a gap has room for
    ThreadView& mine = views_[thread];
    mine.now.at[at] = mine.acquired.at[at] = time;
    Message message{time, attached, value, order.release ? mine.now : mine.released};
    message.view.at[at] = time;
    // A read-modify-write goes on with the release of what it read.
    if (attached) message.view.join(history[before].view);
    history.insert(history.begin() + static_cast<std::ptrdiff_t>(before) + 1, message);
    if (order.sc) sc_.at[at] = std::max(sc_.at[at], time);
  }

  unsigned threads_ = 0;
  std::size_t count_ = 0;
  std::vector<History> histories_;
  std::array<ThreadView, threads_max> views_{};
  View sc_;
  std::vector<std::size_t> places_;
};

}  // namespace

std::unique_ptr<Memory> make_weak_memory() { return std::make_unique<WeakMemory>(); }

std::unique_ptr<Memory> Memory::make(Model model) {
  return model == Model::tso ? make_tso_memory() : make_weak_memory();
}

}  // namespace explore
