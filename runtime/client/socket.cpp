// Packets, descriptors, waiting: everything in the library that talks to the kernel about the connection.
#include "client/socket.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace takt::lib {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

// A control buffer that is aligned as the kernel wants it.
template <std::size_t N>
union Control {
  std::array<char, CMSG_SPACE(N * sizeof(int))> bytes;
  cmsghdr align;
};

bool wait_for(int fd, short events, std::int64_t until_ns) noexcept {
  pollfd entry{fd, events, 0};
  if (until_ns < 0) return ::poll(&entry, 1, -1) > 0;
  const std::int64_t left = std::max<std::int64_t>(until_ns - now_ns(), 0);
  const timespec timeout{left / kSecond, left % kSecond};
  return ::ppoll(&entry, 1, &timeout, nullptr) > 0;
}

Io send_error() noexcept {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ? Io::again : Io::closed;
}

iovec to_iovec(std::span<const std::byte> packet) noexcept {
  return {const_cast<std::byte*>(packet.data()), packet.size()};
}

// Keeps the first descriptor of the message and closes the others.
void collect_descriptors(msghdr& message, Packet& packet) noexcept {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
      Descriptor owned(fd);
      if (packet.descriptors++ == 0) packet.descriptor = std::move(owned);
    }
  }
}

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

std::int64_t now_ns() noexcept {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * kSecond + t.tv_nsec;
}

bool Socket::prepare() noexcept {
  epoll_ = Descriptor(::epoll_create1(EPOLL_CLOEXEC));
  timer_ = Descriptor(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!epoll_ || !timer_) return false;
  epoll_event event{};
  event.events = EPOLLIN;
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, timer_.get(), &event) == 0;
}

int Socket::connect(const char* path) noexcept {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t length = std::strlen(path);
  if (length == 0 || length >= sizeof(address.sun_path)) return ENAMETOOLONG;
  std::memcpy(address.sun_path, path, length);
  Descriptor fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return errno;
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return errno;
  epoll_event event{};
  event.events = EPOLLIN;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event) != 0) return errno;
  socket_ = std::move(fd);
  reset_seen_ = false;
  return 0;
}

void Socket::close() noexcept {
  if (!socket_) return;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, socket_.get(), nullptr);  // a forked child may still hold it
  socket_ = Descriptor();
}

Io Socket::send(std::span<const std::byte> packet, int descriptor) noexcept {
  iovec part = to_iovec(packet);
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  Control<1> control{};
  if (descriptor >= 0) {
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(sizeof(int));
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(c), &descriptor, sizeof(int));
  }
  return ::sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ? Io::ok : send_error();
}

Packet Socket::receive() noexcept {
  Packet packet;
  for (;;) {
    iovec part{buffer_.data(), buffer_.size()};
    Control<wire::kMaxDescriptors> control;
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = &control;
    message.msg_controllen = sizeof(control);
    const ssize_t n = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && errno == EINTR) continue;
    // A reset says that the peer left with unread packets; those it sent before are still there to be read.
    if (n < 0 && errno == ECONNRESET && !std::exchange(reset_seen_, true)) continue;
    if (n <= 0) {
      packet.io = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? Io::again : Io::closed;
      return packet;
    }
    if (message.msg_controllen > 0) collect_descriptors(message, packet);
    packet.io = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ? Io::broken : Io::ok;
    packet.bytes = {buffer_.data(), static_cast<std::size_t>(n)};
    return packet;
  }
}

bool Socket::wait_readable(std::int64_t until_ns) const noexcept {
  return wait_for(socket_.get(), POLLIN, until_ns);
}
bool Socket::wait_writable(std::int64_t until_ns) const noexcept {
  return wait_for(socket_.get(), POLLOUT, until_ns);
}
bool Socket::wait_any(std::int64_t until_ns) const noexcept {
  return wait_for(epoll_.get(), POLLIN, until_ns);
}

void Socket::set_alarm(std::int64_t at_ns) noexcept {
  alarm_ns_ = std::max<std::int64_t>(at_ns, 1);  // 0 would switch it off
  itimerspec when{};
  when.it_value = {alarm_ns_ / kSecond, alarm_ns_ % kSecond};
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
}

void Socket::clear_alarm() noexcept {
  if (alarm_ns_ == 0) return;
  alarm_ns_ = 0;
  const itimerspec off{};
  ::timerfd_settime(timer_.get(), 0, &off, nullptr);
}

}  // namespace takt::lib
