#include "lib/pool/remote_exception.hpp"

#include <pinion/errors.hpp>

#include <cxxabi.h>

#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <typeinfo>
#include <utility>

#include "lib/pool/remote_kinds.hpp"
#include "lib/pool/remote_look.hpp"
#include "lib/pool/remote_record.hpp"

namespace pinion::pool {
namespace {

RemoteRecord record_of(const std::exception_ptr& error, const RemoteOrigin& origin) {
  RemoteRecord record;
  record.worker = origin.worker;
  record.pid = origin.pid;
  record.item = origin.item;
  record.backtrace = cut_text(origin.backtrace, backtrace_bytes_max);
  std::exception_ptr next = error;
  do {
    const bool outer = record.levels.empty();
    ExceptionLook look = look_at(next, outer ? outer_limits : nested_limits);
    if (outer && record.backtrace.empty()) record.backtrace = std::move(look.backtrace);
    record.levels.push_back(std::move(look.level));
    next = std::move(look.inner);
  } while (next && record.levels.size() < remote_levels_max);
  if (next) record.levels.back().what += " [nested deeper]";
  return record;
}

// Apart from `encode_exception`, so that a cancelled thread unwinds through here as it must.
std::vector<std::byte> encode_or_nothing(const std::exception_ptr& error,
                                         const RemoteOrigin& origin) {
  try {
    return write_record(record_of(error, origin));
  } catch (const abi::__forced_unwind&) {
    throw;
  } catch (...) {
    return {};
  }
}

using Report = std::shared_ptr<const RemoteReport>;

Report report_of(const RemoteRecord& record, std::size_t index) {
  const RemoteLevel& level = record.levels[index];
  RemoteReport report;
  report.type_name = level.type_name;
  report.what = level.what;
  for (std::size_t i = index + 1; i < record.levels.size(); ++i) {
    report.nested.push_back({record.levels[i].type_name, record.levels[i].what});
  }
  if (index == 0) report.backtrace = record.backtrace;
  report.worker = record.worker;
  report.pid = record.pid;
  report.item = record.item;
  return std::make_shared<const RemoteReport>(std::move(report));
}

// As one of the forms, else as `other`. Never null.
std::exception_ptr restore(const std::vector<RemoteForm>& forms, const std::type_info& other,
                           const Report& report, const std::exception_ptr& inner) {
  for (const RemoteForm& form : forms) {
    const ExceptionKind* kind = find_kind(form.name);
    if (kind == nullptr) continue;
    if (std::exception_ptr error = kind->restore(form.bytes, report, inner)) return error;
  }
  std::exception_ptr error = find_kind(other).kind->restore({}, report, inner);
  if (!error) throw std::bad_alloc();  // nothing else can refuse a text
  return error;
}

std::exception_ptr undescribed() {
  RemoteReport report;
  report.type_name = "unknown";
  report.what = "the worker had no memory left to describe the error of the task";
  return restore({}, typeid(std::bad_alloc), std::make_shared<const RemoteReport>(report), nullptr);
}

}  // namespace

std::vector<std::byte> encode_exception(const std::exception_ptr& error,
                                        const RemoteOrigin& origin) noexcept {
  return encode_or_nothing(error, origin);
}

std::exception_ptr decode_exception(std::span<const std::byte> bytes) {
  if (bytes.empty()) return undescribed();
  try {
    const RemoteRecord record = read_record(bytes);
    std::exception_ptr error;
    for (std::size_t i = record.levels.size(); i-- > 0;) {
      error =
          restore(record.levels[i].forms, typeid(std::runtime_error), report_of(record, i), error);
    }
    return error;
  } catch (const EncodingError&) {
    return std::current_exception();
  }
}

void throw_remote(std::span<const std::byte> bytes) {
  std::rethrow_exception(decode_exception(bytes));
}

}  // namespace pinion::pool
