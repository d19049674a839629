#include "lib/start/modules.hpp"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <unistd.h>
#include <pinion/errors.hpp>

#include <algorithm>
#include <climits>
#include <cstring>
#include <functional>

namespace pinion::start {

namespace {

std::vector<std::uint8_t> build_id_of(const dl_phdr_info& info) {
  for (int i = 0; i < info.dlpi_phnum; ++i) {
    const auto& header = info.dlpi_phdr[i];
    if (header.p_type != PT_NOTE) continue;
    const auto* p = reinterpret_cast<const std::uint8_t*>(info.dlpi_addr + header.p_vaddr);
    const auto* end = p + header.p_memsz;
    while (p + sizeof(ElfW(Nhdr)) <= end) {
      ElfW(Nhdr) note;
      std::memcpy(&note, p, sizeof note);
      const auto* name = p + sizeof note;
      const auto* data = name + ((note.n_namesz + 3U) & ~3U);
      if (data + note.n_descsz > end) break;
      if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
          std::memcmp(name, "GNU", 4) == 0) {
        return {data, data + note.n_descsz};
      }
      p = data + ((note.n_descsz + 3U) & ~3U);
    }
  }
  return {};
}

std::string path_of(const dl_phdr_info& info, bool first) {
  if (info.dlpi_name != nullptr && info.dlpi_name[0] != '\0') return info.dlpi_name;
  if (!first) return {};
  char path[PATH_MAX];
  const ssize_t n = ::readlink("/proc/self/exe", path, sizeof path);
  return n > 0 ? std::string(path, static_cast<std::size_t>(n)) : std::string();
}

/// Calls `visit(info, whether it is the program itself)` for each module until it returns true.
void for_each_module(const std::function<bool(const dl_phdr_info&, bool)>& visit) {
  struct State {
    const std::function<bool(const dl_phdr_info&, bool)>& visit;
    bool first = true;
  } state{visit};
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* data) {
        auto& s = *static_cast<State*>(data);
        const bool first = std::exchange(s.first, false);
        return s.visit(*info, first) ? 1 : 0;
      },
      &state);
}

bool holds_code(const dl_phdr_info& info, std::uintptr_t address) noexcept {
  for (int i = 0; i < info.dlpi_phnum; ++i) {
    const auto& header = info.dlpi_phdr[i];
    if (header.p_type != PT_LOAD || (header.p_flags & PF_X) == 0) continue;
    const std::uintptr_t begin = info.dlpi_addr + header.p_vaddr;
    if (address >= begin && address < begin + header.p_memsz) return true;
  }
  return false;
}

}  // namespace

CodeToken ModuleTable::find(const void* code) {
  const auto address = reinterpret_cast<std::uintptr_t>(code);
  Module module;
  bool found = false;
  for_each_module([&](const dl_phdr_info& info, bool first) {
    if (!holds_code(info, address)) return false;
    module = {info.dlpi_addr, first, path_of(info, first), build_id_of(info)};
    return found = true;
  });
  if (!found) {
    throw EncodingError(
        "a function pointer does not point to code of this program or of a loaded library, so it "
        "cannot be called in a worker");
  }
  const std::uintptr_t offset = address - module.base;
  if (offset > UINT32_MAX) throw EncodingError("code lies more than 4 GiB into its module");
  const std::lock_guard lock(mutex_);
  const std::uint16_t number = number_of(module);
  known_.push_back({code, {number, static_cast<std::uint32_t>(offset)}});
  cache_[slot_of(code)].store(&known_.back(), std::memory_order_release);
  return known_.back().token;
}

std::uint16_t ModuleTable::number_of(const Module& module) {
  const auto it = std::find(bases_.begin(), bases_.end(), module.base);
  const auto number = static_cast<std::uint16_t>(it - bases_.begin());
  if (it != bases_.end()) return number;
  if (bases_.size() == shm::modules_max) {
    throw EncodingError("tasks name code in more than " + std::to_string(shm::modules_max) +
                        " programs and libraries");
  }
  shm::ModuleEntry& entry = entries_[number];
  const auto& [base, is_program, path, build_id] = module;
  if (path.size() >= sizeof entry.path || build_id.size() > sizeof entry.build_id) {
    throw EncodingError("the path of a library is too long for a worker: " + path);
  }
  entry.build_id_bytes = static_cast<std::uint32_t>(build_id.size());
  std::copy(build_id.begin(), build_id.end(), entry.build_id);
  std::memcpy(entry.path, path.c_str(), path.size() + 1);
  entry.is_program = is_program ? 1 : 0;
  entry.ready.store(1, std::memory_order_release);
  bases_.push_back(base);
  return number;
}

void* ModuleView::resolve(CodeToken token) {
  if (token.module >= shm::modules_max ||
      entries_[token.module].ready.load(std::memory_order_acquire) != 1) {
    throw EncodingError("a task names code in a module that its worker was not told of");
  }
  const shm::ModuleEntry& entry = entries_[token.module];
  const std::string path(entry.path);
  const std::vector<std::uint8_t> build_id(
      entry.build_id, entry.build_id + std::min<std::size_t>(entry.build_id_bytes, 32));
  const auto look = [&] {
    std::optional<std::uintptr_t> base;
    for_each_module([&](const dl_phdr_info& info, bool first) {
      // A build-id says it all; without one the path must do, for what fork inherited.
      const bool same =
          build_id.empty() ? path_of(info, first) == path : build_id_of(info) == build_id;
      if (same) base = info.dlpi_addr;
      return same;
    });
    return base;
  };
  std::optional<std::uintptr_t> base = look();
  if (!base) {
    if (build_id.empty()) {
      throw EncodingError(path +
                          " has no build-id, so a worker cannot tell whether it loads the "
                          "same code; link it with -Wl,--build-id");
    }
    if (entry.is_program != 0) {
      throw EncodingError(
          "a task names code of the program " + path +
          ", which this worker does not run, and a program cannot be loaded: call "
          "pinion::init(argc, argv) in the first line of its main, or use the start method fork");
    }
    if (::dlopen(path.c_str(), RTLD_NOW) == nullptr) {
      const char* why = ::dlerror();
      throw EncodingError("a worker could not load " + path + ": " + (why != nullptr ? why : "?"));
    }
    base = look();
    if (!base) {
      throw EncodingError(path +
                          " is not the file that the program has loaded (its build-id "
                          "differs); it was replaced while the program runs");
    }
  }
  if (bases_.size() <= token.module) bases_.resize(token.module + 1U);
  bases_[token.module] = base;
  return reinterpret_cast<void*>(*base + token.offset);
}

}  // namespace pinion::start
