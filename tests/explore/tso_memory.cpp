#include <array>
#include <deque>
#include <vector>

#include "tests/explore/models.hpp"

namespace explore {

namespace {

class TsoMemory final : public Memory {
 public:
  void reset(unsigned) override {
    memory_.clear();
    for (auto& buffer : buffers_) buffer.clear();
  }
  Location add(Value initial) override {
    memory_.push_back(initial);
    return static_cast<Location>(memory_.size() - 1);
  }
  Value look(Location at) const override { return memory_[at]; }
  void put(Location at, Value value) override { memory_[at] = value; }
  void begin() override {}

  Value load(unsigned thread, Location at, Order, Chooser&) override {
    const auto& buffer = buffers_[thread];
    for (auto it = buffer.rbegin(); it != buffer.rend(); ++it) {
      if (it->at == at) return it->value;
    }
    return memory_[at];
  }
  void store(unsigned thread, Location at, Value value, Order order, Chooser&) override {
    if (order.sc) {
      memory_[at] = value;  // its buffer is empty
    } else {
      buffers_[thread].push_back({at, value});
    }
  }
  Value update(unsigned, Location at, const Change& change, Order, Chooser&) override {
    const Value read = memory_[at];
    if (change.writes(read)) memory_[at] = change.apply(read);
    return read;
  }
  void fence(unsigned) override {}  // it comes when the buffer is empty

  bool buffered(unsigned thread) const override { return !buffers_[thread].empty(); }
  Location next_flush(unsigned thread) const override { return buffers_[thread].front().at; }
  Location flush(unsigned thread) override {
    const Store first = buffers_[thread].front();
    buffers_[thread].pop_front();
    memory_[first.at] = first.value;
    return first.at;
  }
  void catch_up(unsigned) override {}

 private:
  struct Store {
    Location at;
    Value value;
  };
  std::vector<Value> memory_;
  std::array<std::deque<Store>, threads_max> buffers_;
};

}  // namespace

std::unique_ptr<Memory> make_tso_memory() { return std::make_unique<TsoMemory>(); }

}  // namespace explore
