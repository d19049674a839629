// One item of a coroutine task, and the task that carries it.
#pragma once

#include <pinion/errors.hpp>

#include <coroutine>
#include <cstring>
#include <exception>
#include <memory>
#include <vector>

#include "workers/coroutine_tasks.hpp"
#include "workers/worker.hpp"

namespace pinion::workers {

/// What its thunk sees; never runs anything by itself.
class CoroutineFrame final : public detail::TaskFrame {
 public:
  std::byte* begin_chunk(std::uint32_t) override { return nullptr; }
  std::byte* item_block(std::uint32_t, std::size_t) override { return nullptr; }
  void item_failed(std::uint32_t) noexcept override {}
  void stamp() noexcept override {}

 private:
  std::byte* block(std::size_t) override { return nullptr; }
};

struct CoroutineTasks::Item final : detail::CoroutineItem {
  enum class How { value, error, cancelled, timed_out };

  void reset(Task& of, std::uint32_t i) {
    task = &of;
    index = i;
    inline_bytes = 0;
    blocks.clear();
    error.clear();
    outcome = How::value;
    cancelled = timed_out = false;
    started_ns = 0;
    root.stop = false;
    root.user = this;
    on_end = &Item::coroutine_ended;
  }
  /// The coroutine's completion.
  static void coroutine_ended(void* item) noexcept;
  std::byte* block(std::size_t bytes) override;
  void succeeded() noexcept override { outcome = How::value; }
  void failed(std::exception_ptr what) noexcept override;

  Task* task = nullptr;
  std::uint32_t index = 0;
  loop::Root root;
  How outcome = How::value;
  bool cancelled = false;
  bool timed_out = false;
  std::int64_t started_ns = 0;
  std::uint32_t inline_bytes = 0;
  alignas(8) std::byte inline_value[detail::inline_bytes_max];
  std::vector<PlainFrame::Block> blocks;
  std::vector<std::byte> error;
};

struct CoroutineTasks::Task {
  Task(CoroutineTasks& tasks, const ring::TaskMessage& m, std::uint64_t at);

  /// Takes the result block of a task of several items. False where there is no memory for it; then
  /// no more items start.
  bool begin() noexcept;
  void mark(std::uint32_t i, shm::ItemMark mark) noexcept;
  void record(Item& item) noexcept;
  [[nodiscard]] bool timed() const noexcept { return (message.flags & ring::task_is_timed) != 0; }
  /// The first item that must not start any more.
  [[nodiscard]] std::uint32_t end() const noexcept;

  CoroutineTasks& owner;
  ring::TaskMessage message;
  std::uint64_t position;
  std::vector<std::byte> arguments;  // of small tasks: the slot's own bytes
  CoroutineFrame frame;
  detail::Thunk thunk = nullptr;
  std::uint32_t next_item = 0;
  std::uint32_t stopped_at = 0xffff'ffff;
  std::uint32_t live = 0;
  bool begun = false;
  std::vector<std::byte> begin_error;
  std::vector<PlainFrame::Block> blocks;
  std::vector<std::unique_ptr<Item>> items;
};

}  // namespace pinion::workers
