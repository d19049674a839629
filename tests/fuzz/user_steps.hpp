// The steps of a program that the pool's user takes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "fuzz/jobs.hpp"
#include "fuzz/operands.hpp"
#include "fuzz/workerless_pool.hpp"

namespace fuzz {

class UserSteps {
 public:
  UserSteps(Operands& in, WorkerlessPool& pool) : in_(in), pool_(pool) {}

  void apply();
  void map();
  void cancel();
  void decode();
  void drop();
  /// Terminates the pool.
  void stop();
  [[nodiscard]] bool stopped() const { return stopped_; }

  /// Looks at all that is still held, which must have ended, and drops it.
  void leave();

 private:
  struct Given {
    LedgerEntry* entry;
    CountingJob* job;
    bool decoded = false;
  };

  [[nodiscard]] bool full() const;
  Given* some_given();
  void decode(Given& given, unsigned type);
  void drop_at(std::size_t i);

  Operands& in_;
  WorkerlessPool& pool_;
  std::vector<Given> given_;
  bool stopped_ = false;
};

}  // namespace fuzz
