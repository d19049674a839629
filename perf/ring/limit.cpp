#include "perf/ring/limit.hpp"

namespace pinion::perf {
namespace {

Sample limit() {
  Shared<LimitRing> ring;
  LimitProducer producer(*ring);
  LimitConsumer consumer(*ring);
  return stream_messages([&](const Message& message) { return producer.push(message); },
                         [&](Message& message) { return consumer.pop(message); });
}

const Contestant registered{"ring/limit", limit};

}  // namespace
}  // namespace pinion::perf
