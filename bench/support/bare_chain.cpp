// Two forked processes, one socket and one ring; see bare_chain.hpp.
#include "support/bare_chain.hpp"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <vector>

#include "live/futex.hpp"
#include "live/unix_socket.hpp"
#include "support/pixels.hpp"
#include "wire/ring_ops.hpp"

namespace takt::bench {

// Both processes write their times before the next one learns of the message.
struct BareChain::Shared {
  wire::LaneRings rings;
  BareTimes times;
};

namespace {

void* share(std::size_t bytes) {
  void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) give_up("no memory for the bare chain");
  return memory;
}

std::array<int, 2> socket_pair() {
  std::array<int, 2> fds{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()) != 0) give_up("no socket for the bare chain");
  return fds;
}

template <class Body>
pid_t fork_process(Body body) {
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child != 0) return child;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() == parent) body();
  ::_exit(0);
}

}  // namespace

BareChain::BareChain(const BareOptions& options) : options_(options) {
  shared_ = new (share(sizeof(Shared))) Shared{};
  frame_ = static_cast<std::byte*>(share(options.frame));
  const auto up = socket_pair(), down = socket_pair();
  to_broker_ = up[0], from_worker_ = down[0];
  processes_[0] = fork_process([&] { broker(up[1]); });
  processes_[1] = fork_process([&] { worker(down[1]); });
  ::close(up[1]);
  ::close(down[1]);
}

BareChain::~BareChain() {
  for (const pid_t pid : processes_) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  ::close(to_broker_);
  ::close(from_worker_);
  ::munmap(shared_, sizeof(Shared));
  ::munmap(frame_, options_.frame);
}

void* BareChain::frame() const noexcept {
  return frame_;
}

BareTimes BareChain::pass() {
  std::array<std::byte, 4096> message{};
  if (::send(to_broker_, message.data(), options_.message, 0) < 0 || ::recv(from_worker_, message.data(), 1, 0) != 1)
    give_up("the bare chain broke");
  return shared_->times;
}

void BareChain::broker(int socket) const {
  place_thread(options_.placement.broker, kBrokerPriority);
  wire::StartProducer ring(shared_->rings.start);
  std::array<std::byte, 4096> room;
  live::Packet packet;
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{.events = EPOLLIN, .data = {}};
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event);
  for (std::uint64_t sequence = 1;; ++sequence) {
    if (options_.wait == Wait::epoll) {
      while (::epoll_wait(epoll, &event, 1, -1) != 1) {
      }
      if (live::receive_packet(socket, room, packet) != live::Received::packet) return;
    } else if (::recv(socket, room.data(), room.size(), 0) <= 0) {
      return;
    }
    shared_->times.received = now_ns();
    ring.entry().count = 1;
    if (ring.publish(sequence)) live::futex_wake(ring.doorbell(), 1);
    (void)ring.finish(sequence);
  }
}

void BareChain::worker(int answer) const {
  place_thread(options_.placement.worker, options_.worker_priority);
  wire::StartConsumer ring(shared_->rings.start);
  for (;;) {
    const std::uint32_t bell = ring.doorbell().load();
    if (ring.try_claim() == nullptr) {
      ring.announce_sleep();
      live::futex_wait(ring.doorbell(), bell);
      ring.awake();
      continue;
    }
    shared_->times.started = now_ns();
    read_pixels(frame_, options_.frame);
    shared_->times.read = now_ns();
    if (::send(answer, &bell, 1, 0) != 1) return;
  }
}

}  // namespace takt::bench
