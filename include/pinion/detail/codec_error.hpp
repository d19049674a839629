// How encoding and decoding fail, kept out of line so that templates stay small.
#pragma once

#include <string>

#include <pinion/detail/api.hpp>

namespace pinion::detail {

/// Throws `EncodingError(what)`.
[[noreturn]] PINION_API void throw_encoding_error(const char* what);
/// The same for a sentence put together at run time.
[[noreturn]] PINION_API void throw_encoding_error(const std::string& what);

}  // namespace pinion::detail
