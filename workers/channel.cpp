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
T* at(std::byte* segment, std::uint64_t offset) noexcept {
  return reinterpret_cast<T*>(segment + offset);
}

ring::Fencing fencing_of(const start::Birth& birth) noexcept {
  return birth.asymmetric != 0 ? ring::Fencing::asymmetric : ring::Fencing::symmetric;
}

os::Mapping attach_arrays(const start::Birth& birth, int fd) {
  return shm::attach_array_memory(fd, {reinterpret_cast<std::byte*>(birth.array_memory),
                                       birth.array_memory_bytes, birth.forked != 0});
}

}  // namespace

Channel::Channel(const start::Birth& birth, const start::BirthFds& fds)
    : array_mapping(attach_arrays(birth, fds.fd[start::array_memory_fd])),
      manager_mapping(shm::attach_segment(fds.fd[start::manager_segment_fd], PROT_READ,
                                          expected(birth, shm::SegmentKind::manager))),
      own_mapping(shm::attach_segment(fds.fd[start::worker_segment_fd], PROT_READ | PROT_WRITE,
                                      expected(birth, shm::SegmentKind::worker))),
      bell_mapping(shm::attach_segment(fds.fd[start::bell_segment_fd], PROT_READ | PROT_WRITE,
                                       expected(birth, shm::SegmentKind::bells))),
      manager_segment(manager_mapping.begin(), manager_mapping.size()),
      own_segment(own_mapping.begin()),
      fencing(fencing_of(birth)),
      manager_eventfd(fds.fd[start::manager_eventfd]),
      bell_eventfd(fds.fd[start::bell_eventfd]),
      own_eventfd(fds.fd[start::worker_eventfd]) {
  manager_mapping.keep_private();
  own_mapping.keep_private();
  bell_mapping.keep_private();
  find(birth, {manager_mapping.begin(), own_mapping.begin(), bell_mapping.begin()});
}

Channel::Channel(const start::Birth& birth, start::LocalHome& home)
    : manager_segment(home.memory.manager->begin(), home.memory.manager->size()),
      own_segment(home.memory.own->begin()),
      fencing(fencing_of(birth)),
      manager_eventfd(home.manager_eventfd),
      bell_eventfd(home.bell_eventfd),
      own_eventfd(home.own_eventfd),
      originals(&home.errors),
      has_thread(home.has_thread),
      local_arrays(std::static_pointer_cast<pool::Arrays>(home.memory.arrays)) {
  find(birth, {home.memory.manager->begin(), home.memory.own->begin(), home.memory.bells->begin()});
}

void Channel::find(const start::Birth& birth, const Places& places) {
  const unsigned seat = birth.seat;
  const shm::Capacity capacity{birth.ring_slots, birth.flights};
  const shm::ManagerLayout theirs{birth.seats, capacity};
  const shm::WorkerLayout ours{capacity};
  const shm::BellLayout bells{birth.seats, capacity};
  manager_line = at<const ring::ManagerLine>(places.manager, theirs.line(seat));
  verdicts = at<const ring::Verdict>(places.manager, theirs.verdicts(seat));
  modules = at<const shm::ModuleEntry>(places.manager, theirs.modules());
  line = at<ring::WorkerLine>(places.own, shm::WorkerLayout::line);
  note = at<shm::WorkerNote>(places.own, shm::WorkerLayout::note);
  flights = at<shm::WorkerFlight>(places.own, shm::WorkerLayout::flights);
  results_begin = ours.results();
  arrays = {static_cast<std::uint32_t>(birth.pool),
            reinterpret_cast<std::byte*>(birth.array_memory), birth.array_memory_bytes,
            at<shm::ArrayMarks>(places.own, ours.array_marks())};
  using Word = std::atomic<std::uint32_t>;
  own_bell = ring::Bell(at<Word>(places.bells, bells.worker(seat)), own_eventfd, fencing);
  manager_bell =
      ring::Bell(at<Word>(places.bells, shm::BellLayout::manager), bell_eventfd, fencing);
  constexpr bool shared = shm::TaskRing::shared_indices;
  tasks = shm::TaskRing::Consumer(
      shared ? places.bells + bells.task_ring(seat) : places.manager + theirs.task_ring(seat),
      birth.ring_slots, birth.task_position);
#ifdef PINION_RING_BOOST
  results = shm::ResultRing::Producer(shm::ResultRing::Producer::Attach{},
                                      places.bells + bells.result_ring(seat), birth.ring_slots,
                                      birth.result_position);
#else
  results = shm::ResultRing::Producer(places.own + ours.result_ring(), birth.ring_slots,
                                      birth.result_position);
#endif
}

std::span<const std::byte> Channel::argument_bytes(const ring::BlockRef& block) const {
  if (!shm::lies_within(block.offset, block.bytes, 0, manager_segment.size())) {
    throw std::runtime_error("a task's arguments lie outside the manager's segment");
  }
  return manager_segment.subspan(block.offset, block.bytes);
}

}  // namespace pinion::workers
