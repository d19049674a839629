// The two ends of an encoded value: a writer over memory of the right size, and a reader over
// bytes that nobody vouches for.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include <pinion/detail/array_block.hpp>
#include <pinion/detail/codec_error.hpp>

namespace pinion::detail {

/// What travels by name: function pointers as `{module, offset}`, shared arrays as numbers. The
/// manager and the worker each have a map.
struct CodeMap {
  virtual ~CodeMap() = default;
  /// A handle of the array of this name. Throws `EncodingError` where there is none.
  virtual ArrayHandle array(const ArrayName&) {
    throw_encoding_error("a shared array cannot travel here");
  }
  /// The token of a function. Throws `EncodingError` for code in no listed module.
  virtual std::uint64_t to_token(const void* function) = 0;
  /// The function of a token. Throws `EncodingError` for a token that names no code.
  virtual void* from_token(std::uint64_t token) = 0;
};

/// Values may nest so deep (containers, optionals and pointers in one another); deeper ones, and
/// with them cycles of `shared_ptr`, are an `EncodingError`. Each level costs stack in the decoder.
inline constexpr unsigned nesting_max = 200;

/// Writes front to back into memory that was sized beforehand.
///
/// The bound is checked on every write: with a size known at compile time the checks fold away, and
/// otherwise they keep a wrong user codec from writing over its neighbours.
class Writer {
 public:
  Writer(std::byte* begin, std::byte* end, CodeMap* code = nullptr,
         ArrayHandles* arrays = nullptr) noexcept
      : next_(begin), end_(end), code_(code), arrays_(arrays) {}

  /// Copies `size` bytes. `from` may be null when `size` is 0.
  void bytes(const void* from, std::size_t size) {
    if (size > left()) [[unlikely]] {
      throw_encoding_error("a value wrote more bytes than its size() had promised");
    }
    if (size != 0) std::memcpy(next_, from, size);
    next_ += size;
  }

  /// Copies the bytes of a trivially copyable value.
  template <class T>
  void value(const T& v) {
    static_assert(std::is_trivially_copyable_v<T>);
    bytes(&v, sizeof v);
  }

  /// Writes how many items follow, in 64 bits.
  void count(std::size_t items) { value(static_cast<std::uint64_t>(items)); }

  /// Bytes that may still be written.
  [[nodiscard]] std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - next_); }

  /// Throws `EncodingError` where function pointers cannot travel.
  [[nodiscard]] CodeMap& code() const {
    if (code_ == nullptr)
      throw_encoding_error("function pointers and shared arrays cannot travel here");
    return *code_;
  }

  /// What is written names this array: it stays until the message is answered.
  void keep(const ArrayHandle& array) {
    if (arrays_ != nullptr) arrays_->push_back(array);
  }

 private:
  std::byte* next_;
  std::byte* end_;
  CodeMap* code_;
  ArrayHandles* arrays_;  // null where the values outlive the message
};

/// Reads front to back. Every read is checked, and nothing that was checked is read a second time:
/// the writer may be another process that changes the bytes meanwhile.
class Reader {
 public:
  Reader(const std::byte* begin, const std::byte* end, CodeMap* code = nullptr) noexcept
      : next_(begin), end_(end), code_(code) {}

  /// The next `size` bytes, which are then behind the reader.
  [[nodiscard]] const std::byte* take(std::size_t size) {
    if (size > left()) [[unlikely]] {
      throw_encoding_error("an encoded value ends in the middle");
    }
    const std::byte* here = next_;
    next_ += size;
    return here;
  }

  /// Copies the next `size` bytes. `to` may be null when `size` is 0.
  void bytes(void* to, std::size_t size) {
    const std::byte* from = take(size);
    if (size != 0) std::memcpy(to, from, size);
  }

  /// A trivially copyable value, which need not be default constructible.
  template <class T>
  [[nodiscard]] T value() {
    static_assert(std::is_trivially_copyable_v<T>);
    std::array<std::byte, sizeof(T)> raw;
    bytes(raw.data(), raw.size());
    return std::bit_cast<T>(raw);
  }

  /// A number that decides what happens next. It is read exactly once: the empty statement hides
  /// where it came from, so that the compiler cannot load it again after it has been checked.
  template <class T>
  [[nodiscard]] T number() {
    static_assert(std::is_integral_v<T>);
    T v = value<T>();
    asm volatile("" : "+r"(v));
    return v;
  }

  /// How many items follow, each of at least `item_bytes_min` bytes; more than what is left could
  /// hold is an `EncodingError`, so that no forged count allocates memory.
  [[nodiscard]] std::size_t count(std::size_t item_bytes_min) {
    const auto items = number<std::uint64_t>();
    const std::size_t items_max = item_bytes_min != 0 ? left() / item_bytes_min : empty_items_max;
    if (items > items_max) [[unlikely]] {
      throw_encoding_error("an encoded value counts more items than its bytes can hold");
    }
    return static_cast<std::size_t>(items);
  }

  /// Bytes that have not been read.
  [[nodiscard]] std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - next_); }

  /// Throws `EncodingError` where function pointers and shared arrays cannot travel.
  [[nodiscard]] CodeMap& code() const {
    if (code_ == nullptr)
      throw_encoding_error("function pointers and shared arrays cannot travel here");
    return *code_;
  }

  /// One level of nesting, for as long as it lives.
  class Nesting {
   public:
    explicit Nesting(Reader& reader) : reader_(reader) {
      if (reader_.depth_ >= nesting_max) {
        throw_encoding_error("an encoded value nests more than 200 levels deep");
      }
      ++reader_.depth_;
    }
    ~Nesting() { --reader_.depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    Reader& reader_;
  };

 private:
  /// Items without bytes (`std::tuple<>`) are bounded by this instead.
  static constexpr std::size_t empty_items_max = std::size_t{1} << 20;

  const std::byte* next_;
  const std::byte* end_;
  CodeMap* code_;
  unsigned depth_ = 0;
};

}  // namespace pinion::detail
