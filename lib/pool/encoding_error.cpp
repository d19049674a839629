#include <pinion/detail/codec_error.hpp>
#include <pinion/errors.hpp>

namespace pinion::detail {

void throw_encoding_error(const char* what) { throw EncodingError(what); }

void throw_encoding_error(const std::string& what) { throw EncodingError(what); }

}  // namespace pinion::detail
