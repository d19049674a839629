// The steps of a program that workers take: honest answers, and whatever else can be written.
#pragma once

#include <cstddef>
#include <cstdint>

#include "fuzz/operands.hpp"
#include "fuzz/workerless_pool.hpp"

namespace fuzz {

class WorkerSteps {
 public:
  WorkerSteps(Operands& in, WorkerlessPool& pool) : in_(in), pool_(pool) {}

  void answer();
  void forge();
  void word();
  void bytes();
  void chunk();
  void error();
  void bell();

  /// The worker's first flight, if it has one, is answered honestly.
  void answer_first(unsigned worker);

 private:
  std::uint64_t value(const pool::Lane& lane);
  void answer(unsigned worker, std::uint16_t flight, unsigned how);
  void write_block(unsigned worker, const pool::Flight& flight, std::uint64_t block,
                   std::uint8_t lies, unsigned how);
  void store(unsigned worker, std::uint64_t at, const void* from, std::size_t size);
  void store(unsigned worker, std::uint64_t at, std::uint64_t value);

  Operands& in_;
  WorkerlessPool& pool_;
};

}  // namespace fuzz
