// Classes with cereal's functions travel too: a `pinion::codec` for them. Needs the headers of
// cereal (Debian: libcereal-dev); pinion itself does not.
//
// Include it before the first use of such a class with pinion, and cereal's own <cereal/types/...>
// for what the class is made of, as for any other archive.
#pragma once

#include <pinion/codec.hpp>
#include <pinion/errors.hpp>

#include <cereal/cereal.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

namespace pinion::detail {

/// One value in another; a class of the user's takes some of them. Each costs stack in the decoder.
inline constexpr unsigned cereal_nesting_max = 4 * nesting_max;

struct CerealDepth {
  unsigned depth = 0;

  void enter() {
    if (++depth > cereal_nesting_max) [[unlikely]] {
      throw_encoding_error("a value with a cereal serialize nests too deep");
    }
  }
};

/// A binary archive into a message; without one it only counts.
class CerealOutput : public cereal::OutputArchive<CerealOutput, cereal::AllowEmptyClassElision>,
                     public CerealDepth {
 public:
  explicit CerealOutput(Writer* writer = nullptr)
      : OutputArchive<CerealOutput, cereal::AllowEmptyClassElision>(this), writer_(writer) {}

  void put(const void* bytes, std::size_t size) {
    bytes_ += size;
    if (writer_ != nullptr) writer_->bytes(bytes, size);
  }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

 private:
  Writer* writer_;
  std::size_t bytes_ = 0;
};

/// A binary archive out of a message whose bytes nobody vouches for.
class CerealInput : public cereal::InputArchive<CerealInput, cereal::AllowEmptyClassElision>,
                    public CerealDepth {
 public:
  explicit CerealInput(Reader& reader)
      : InputArchive<CerealInput, cereal::AllowEmptyClassElision>(this), reader_(reader) {}

  [[nodiscard]] Reader& reader() noexcept { return reader_; }

 private:
  Reader& reader_;
};

// What cereal finds by the archive's type: depth, numbers, sizes and blocks of bytes.

template <class T>
void prologue(CerealOutput& archive, const T&) {
  archive.enter();
}
template <class T>
[[gnu::always_inline]] inline void prologue(CerealInput& archive, const T&) {
  archive.enter();
}
template <class T>
void epilogue(CerealOutput& archive, const T&) {
  --archive.depth;
}
template <class T>
void epilogue(CerealInput& archive, const T&) {
  --archive.depth;
}

template <class T>
requires std::is_arithmetic_v<T>
void CEREAL_SAVE_FUNCTION_NAME(CerealOutput& archive, const T& value) {
  archive.put(&value, sizeof value);
}
template <class T>
requires std::is_arithmetic_v<T>
void CEREAL_LOAD_FUNCTION_NAME(CerealInput& archive, T& value) {
  if constexpr (std::is_same_v<T, bool>) {  // of any other byte it would be no bool
    static_assert(sizeof(bool) == 1);
    value = archive.reader().number<std::uint8_t>() != 0;
  } else {
    value = archive.reader().value<T>();
  }
}

template <class T>
void CEREAL_SAVE_FUNCTION_NAME(CerealOutput& archive, const cereal::NameValuePair<T>& pair) {
  archive(pair.value);
}
template <class T>
void CEREAL_LOAD_FUNCTION_NAME(CerealInput& archive, cereal::NameValuePair<T>& pair) {
  archive(pair.value);
}

template <class T>
void CEREAL_SAVE_FUNCTION_NAME(CerealOutput& archive, const cereal::SizeTag<T>& tag) {
  archive(static_cast<std::uint64_t>(tag.size));
}
/// A container is made as large as this says before its items are read.
template <class T>
void CEREAL_LOAD_FUNCTION_NAME(CerealInput& archive, cereal::SizeTag<T>& tag) {
  tag.size = static_cast<std::remove_reference_t<T>>(archive.reader().count(1));
}

template <class T>
void CEREAL_SAVE_FUNCTION_NAME(CerealOutput& archive, const cereal::BinaryData<T>& data) {
  archive.put(data.data, static_cast<std::size_t>(data.size));
}
template <class T>
void CEREAL_LOAD_FUNCTION_NAME(CerealInput& archive, cereal::BinaryData<T>& data) {
  archive.reader().bytes(data.data, static_cast<std::size_t>(data.size));
}

/// A class that says by itself how it is serialised.
template <class T>
concept CerealMembers = cereal::traits::has_member_serialize<T, CerealOutput>::value ||
    cereal::traits::has_member_save<T, CerealOutput>::value ||
    cereal::traits::has_member_save_minimal<T, CerealOutput>::value;

/// Classes that cereal can take through these archives. What pinion knows better is left to it:
/// standard containers, and plain bytes that only functions beside the class describe.
template <class T>
concept CerealClass =
    std::is_class_v<T> && !StandardType<T> && std::is_default_constructible_v<T> &&
    (CerealMembers<T> || !std::is_trivially_copyable_v<T>)&&cereal::traits::is_output_serializable<
        T, CerealOutput>::value &&
    cereal::traits::is_input_serializable<T, CerealInput>::value;

}  // namespace pinion::detail

CEREAL_REGISTER_ARCHIVE(pinion::detail::CerealOutput)
CEREAL_REGISTER_ARCHIVE(pinion::detail::CerealInput)
CEREAL_SETUP_ARCHIVE_TRAITS(pinion::detail::CerealInput, pinion::detail::CerealOutput)

/// For classes that cereal serialises: default-constructible, and with `serialize`, or `save` and
/// `load`, for any archive. The bytes are those of a binary archive on one machine. A size costs a
/// pass of its own over the value. Bytes that do not decode are an `EncodingError`; no container
/// is made larger than the bytes that are left could fill with items of one byte.
template <pinion::detail::CerealClass T>
struct pinion::codec<T> {
  static std::size_t size(const T& value) {
    detail::CerealOutput archive;
    archive(value);
    return archive.bytes();
  }
  static void encode(Writer& to, const T& value) {
    detail::CerealOutput archive(&to);
    archive(value);
  }
  static T decode(Reader& from) {
    T value;
    try {
      detail::CerealInput archive(from);
      archive(value);
    } catch (const cereal::Exception& error) {
      throw EncodingError(error.what());
    }
    return value;
  }
};
