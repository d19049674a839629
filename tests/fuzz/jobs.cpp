#include "fuzz/jobs.hpp"

#include <pinion/errors.hpp>
#include <pinion/pinion.hpp>

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "fuzz/workerless_pool.hpp"

namespace fuzz {

namespace detail = pinion::detail;

namespace {

struct Mixed {
  int number;
  bool flag;
};
using Nested = std::map<int, std::vector<std::string>>;
using Choice =
    std::optional<std::variant<bool, std::string, std::vector<bool>, std::shared_ptr<Mixed>>>;
using Types = std::tuple<int, std::array<char, 100>, std::string, std::vector<double>, Mixed,
                         Nested, Choice, void*>;  // the last stands for void
static_assert(std::tuple_size_v<Types> == result_types);

std::uint64_t taken = 0;

template <class R>
class Values final : public detail::TypedMapJob<R> {
 public:
  using detail::TypedMapJob<R>::TypedMapJob;
  [[nodiscard]] std::size_t chunk_bytes(std::uint64_t, std::uint32_t) const final { return 0; }
  void write_chunk(std::uint64_t, std::uint32_t, detail::Writer&) const final {}
};

template <class R>
class Job final : public CountingJob {
 public:
  explicit Job(const JobShape& shape)
      : values_(shape.items), given_(shape.items), item_bytes_(shape.item_bytes) {
    coroutine = shape.coroutine;
    items = shape.items;
    if (shape.chunk_items != 0) chunking = pinion::Chunking::fixed(shape.chunk_items);
    result_stride = values_.result_stride;
    item_bytes_hint = item_bytes_;
  }

  [[nodiscard]] std::size_t chunk_bytes(std::uint64_t first, std::uint32_t count) const override {
    if (count == 0 || first + count > items) found("a chunk has items that its map has not");
    return std::size_t{count} * item_bytes_;
  }
  void write_chunk(std::uint64_t, std::uint32_t count, detail::Writer& writer) const override {
    const std::vector<std::byte> bytes(std::size_t{count} * item_bytes_);
    writer.bytes(bytes.data(), bytes.size());
  }
  void take_value(std::uint64_t item, std::span<const std::byte> bytes) override {
    taken += bytes.size();
    take_once(item);
    values_.take_value(item, bytes);
  }
  void take_values(std::uint64_t first, std::uint32_t count, const std::byte* bytes) override {
    taken += std::uint64_t{count} * result_stride;
    for (std::uint32_t i = 0; i < count; ++i) take_once(first + i);
    values_.take_values(first, count, bytes);
  }
  void decode() override {
    if constexpr (!std::is_void_v<R>) {
      try {
        static_cast<void>(values_.take_result(nullptr));
      } catch (const pinion::EncodingError&) {
      }
    }
  }

 private:
  void take_once(std::uint64_t item) {
    if (item >= items) found("an item was ended that its map has not");
    if (given_[item]) found("an item was given two values");
    given_[item] = true;
  }

  Values<R> values_;
  std::vector<bool> given_;
  std::size_t item_bytes_;
};

/// Calls `f` with the type's number as a constant.
template <class F, std::size_t... i>
void dispatch(unsigned type, F f, std::index_sequence<i...>) {
  static_cast<void>(((type == i ? (f.template operator()<i>(), true) : false) || ...));
}
template <class F>
void with_type(unsigned type, F f) {
  dispatch(type % result_types, f, std::make_index_sequence<result_types>());
}
template <std::size_t i>
using Type = std::conditional_t<std::is_same_v<std::tuple_element_t<i, Types>, void*>, void,
                                std::tuple_element_t<i, Types>>;

}  // namespace

std::unique_ptr<CountingJob> make_job(const JobShape& shape) {
  std::unique_ptr<CountingJob> job;
  with_type(shape.result_type,
            [&]<std::size_t i>() { job = std::make_unique<Job<Type<i>>>(shape); });
  return job;
}

void decode_value(unsigned result_type, std::span<const std::byte> bytes) {
  with_type(result_type, [&]<std::size_t i>() {
    if constexpr (!std::is_void_v<Type<i>>) {
      try {
        detail::Reader reader(bytes.data(), bytes.data() + bytes.size(), nullptr);
        static_cast<void>(detail::decode<Type<i>>(reader));
      } catch (const pinion::EncodingError&) {
      }
    }
  });
}

std::uint64_t value_bytes_taken() noexcept { return taken; }

}  // namespace fuzz
