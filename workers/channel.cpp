#include "workers/channel.hpp"

#include <stdexcept>

#include "lib/shm/block_range.hpp"

namespace pinion::workers {

namespace {

shm::SegmentHeader expected(const start::Birth& birth, shm::SegmentKind kind) {
  shm::SegmentHeader header{};
  header.kind = kind;
  header.layout = shm::layout_number();
  header.pool = birth.pool;
  if (kind == shm::SegmentKind::worker) {
    header.worker = birth.worker;
    header.generation = birth.generation;
  }
  return header;
}

template <class T>
T* at(const os::Mapping& mapping, std::uint64_t offset) noexcept {
  return reinterpret_cast<T*>(mapping.begin() + offset);
}

}  // namespace

Channel::Channel(const start::Birth& birth, const start::BirthFds& fds)
    : manager_segment(shm::attach_segment(fds.fd[start::manager_segment_fd], PROT_READ,
                                          expected(birth, shm::SegmentKind::manager))),
      own_segment(shm::attach_segment(fds.fd[start::worker_segment_fd], PROT_READ | PROT_WRITE,
                                      expected(birth, shm::SegmentKind::worker))),
      bell_segment(shm::attach_segment(fds.fd[start::bell_segment_fd], PROT_READ | PROT_WRITE,
                                       expected(birth, shm::SegmentKind::bells))),
      fencing(birth.asymmetric != 0 ? ring::Fencing::asymmetric : ring::Fencing::symmetric),
      manager_eventfd(fds.fd[start::manager_eventfd]),
      own_eventfd(fds.fd[start::worker_eventfd]) {
  manager_segment.keep_private();
  own_segment.keep_private();
  bell_segment.keep_private();
  const unsigned worker = birth.worker;
  const shm::Capacity capacity{birth.ring_slots, birth.flights};
  const shm::ManagerLayout theirs{birth.workers, capacity};
  const shm::WorkerLayout ours{capacity};
  const shm::BellLayout bells{birth.workers, capacity};
  manager_line = at<const ring::ManagerLine>(manager_segment, theirs.line(worker));
  verdicts = at<const ring::Verdict>(manager_segment, theirs.verdicts(worker));
  modules = at<const shm::ModuleEntry>(manager_segment, theirs.modules());
  line = at<ring::WorkerLine>(own_segment, shm::WorkerLayout::line);
  note = at<shm::WorkerNote>(own_segment, shm::WorkerLayout::note);
  flights = at<shm::WorkerFlight>(own_segment, shm::WorkerLayout::flights);
  results_begin = ours.results();
  using Word = std::atomic<std::uint32_t>;
  own_bell = ring::Bell(at<Word>(bell_segment, bells.worker(worker)), own_eventfd, fencing);
  manager_bell =
      ring::Bell(at<Word>(bell_segment, shm::BellLayout::manager), manager_eventfd, fencing);
  constexpr bool shared = shm::TaskRing::shared_indices;
  tasks = shm::TaskRing::Consumer(shared ? bell_segment.begin() + bells.task_ring(worker)
                                         : manager_segment.begin() + theirs.task_ring(worker),
                                  birth.ring_slots, birth.task_position);
#ifdef PINION_RING_BOOST
  results = shm::ResultRing::Producer(shm::ResultRing::Producer::Attach{},
                                      bell_segment.begin() + bells.result_ring(worker),
                                      birth.ring_slots, birth.result_position);
#else
  results = shm::ResultRing::Producer(own_segment.begin() + ours.result_ring(), birth.ring_slots,
                                      birth.result_position);
#endif
}

std::span<const std::byte> Channel::argument_bytes(const ring::BlockRef& block) const {
  if (!shm::lies_within(block.offset, block.bytes, 0, manager_segment.size())) {
    throw std::runtime_error("a task's arguments lie outside the manager's segment");
  }
  return {manager_segment.begin() + block.offset, block.bytes};
}

}  // namespace pinion::workers
