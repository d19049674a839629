#include "fault/stepper.hpp"

#include "fault/step_tracer.hpp"

namespace checks {

Stepper::Stepper() {
  void* shared = ::mmap(nullptr, addresses_max * sizeof *addresses_, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (shared == MAP_FAILED) fail(errno, "mapping memory for traces");
  addresses_ = static_cast<std::uint64_t*>(shared);
#if defined(__x86_64__)
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    fail(errno, "making a socket");
  }
  const pid_t manager = ::getpid();
  tracer_ = ::fork();
  if (tracer_ < 0) fail(errno, "forking the tracer");
  if (tracer_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != manager) ::_exit(1);
    ::prctl(PR_SET_NAME, "tracer");
    ::close(ends[0]);
    Tracer(ends[1], manager, addresses_).run();
  }
  ::close(ends[1]);
  socket_ = ends[0];
#endif
}

Stepper::~Stepper() {
  if (tracer_ != 0) {
    ::close(socket_);
    ::kill(tracer_, SIGKILL);
    ::waitpid(tracer_, nullptr, 0);
  }
  ::munmap(addresses_, addresses_max * sizeof *addresses_);
}

std::string Stepper::obstacle() {
  if (tracer_ == 0) return "single steps are written for x86-64 only";
  const pid_t probe = ::fork();
  if (probe < 0) return "no process can be made";
  if (probe == 0) {
    allow();
    for (;;) ::pause();
  }
  std::string why;
  for (int attempt = 0;; ++attempt) {
    Order order{Order::What::probe};
    order.pid = probe;
    send(order);
    Answer answer{};
    if (::recv(socket_, &answer, sizeof answer, 0) != sizeof answer) answer.error = EPIPE;
    if (answer.error == 0) break;
    why = "ptrace is not possible here: " + std::generic_category().message(answer.error);
    if (attempt == 20) break;
    why.clear();
    ::usleep(10'000);  // it may not have allowed it yet
  }
  ::kill(probe, SIGKILL);
  ::waitpid(probe, nullptr, 0);
  return why;
}

void Stepper::allow() {
#ifdef PR_SET_PTRACER
  ::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
#endif
}

void Stepper::send(const Order& order) {
  if (::send(socket_, &order, sizeof order, MSG_NOSIGNAL) != sizeof order) {
    fail(errno, "telling the tracer");
  }
}

Stepper::Answer Stepper::receive(const char* doing) {
  Answer answer{};
  ssize_t n = 0;
  do {
    n = ::recv(socket_, &answer, sizeof answer, 0);
  } while (n < 0 && errno == EINTR);
  if (n != sizeof answer) throw std::runtime_error("the tracer has ended");
  if (answer.error != 0) fail(answer.error, doing);
  return answer;
}

void Stepper::hold(pid_t worker) {
  Order order{Order::What::hold};
  order.pid = worker;
  send(order);
  receive("holding a worker");
  held_ = worker;
}

void Stepper::let_go() {
  Order order{Order::What::let_go};
  order.pid = std::exchange(held_, 0);
  send(order);
  receive("letting a worker go");
}

void Stepper::begin_record(Manager manager) {
  Order order{Order::What::record};
  order.pid = std::exchange(held_, 0);
  order.manager = manager;
  send(order);
}

Trace Stepper::end_record() {
  const std::uint64_t count = receive("recording a worker").count;
  return Trace::of(addresses_, count);
}

void Stepper::begin(const Trace& trace, std::size_t k, Then then, Manager manager) {
  Order order{Order::What::go};
  order.pid = std::exchange(held_, 0);
  order.manager = manager;
  order.then = then;
  order.asleep = k == trace.at.size();
  if (order.asleep) --k;
  const std::uint32_t landmark = trace.landmark.at(k);
  order.landmark = landmark == 0 ? 0 : trace.at[landmark];
  order.visit = trace.visit.at(landmark);
  order.steps = k - landmark;
  order.address = trace.at[k];
  send(order);
}

bool Stepper::end() { return receive("stepping a worker").exact; }

}  // namespace checks
