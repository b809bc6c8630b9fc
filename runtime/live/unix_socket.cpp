// SOCK_SEQPACKET with SCM_RIGHTS.
#include "live/unix_socket.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

namespace takt::live {
namespace {

constexpr int kSocketType = SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC;

tl::unexpected<Error> socket_error(const char* text, int error = errno) {
  switch (error) {
    case ENOENT:
    case ECONNREFUSED: return fail(Code::not_found, text, error);
    case EACCES:
    case EPERM: return fail(Code::no_permission, text, error);
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case ETOOMANYREFS:
    case EAGAIN: return fail(Code::no_capacity, text, error);
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN: return fail(Code::disconnected, text, error);
    case EADDRINUSE: return fail(Code::already_exists, text, error);
    default: return fail(Code::system, text, error);
  }
}

bool fill(sockaddr_un& address, const std::string& path) noexcept {
  if (path.empty() || path.size() >= sizeof(address.sun_path)) return false;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return true;
}

const sockaddr* generic(const sockaddr_un& address) noexcept {
  return reinterpret_cast<const sockaddr*>(&address);
}

FileDescriptor spare_descriptor() noexcept {
  return FileDescriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

// Moves what SCM_RIGHTS brought into the packet; what does not fit there is closed. False if there was too much.
bool take_descriptors(msghdr& message, Packet& packet) noexcept {
  bool fits = true;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
      FileDescriptor owned(fd);
      if (packet.descriptor_count < kMaxPacketDescriptors)
        packet.descriptors[packet.descriptor_count++] = std::move(owned);
      else
        fits = false;
    }
  }
  return fits;
}

void drop_descriptors(Packet& packet) noexcept {
  for (std::size_t i = 0; i < packet.descriptor_count; ++i) packet.descriptors[i].reset();
  packet.descriptor_count = 0;
}

// An empty packet and the end look alike to recvmsg; but only after the end does poll report a hang-up.
bool hung_up(int socket) noexcept {
  pollfd p{.fd = socket, .events = POLLRDHUP, .revents = 0};
  return ::poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP)) != 0;
}

}  // namespace

Received receive_packet(int socket, std::span<std::byte> room, Packet& packet) noexcept {
  drop_descriptors(packet);
  packet.bytes = {};
  iovec part{room.data(), room.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxPacketDescriptors)> control;
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = -1;
  do {
    got = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return errno == EAGAIN ? Received::nothing : Received::closed;
  const bool fits = take_descriptors(message, packet);
  if (got == 0 && packet.descriptor_count == 0 && hung_up(socket)) return Received::closed;
  if (got == 0 || !fits || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    drop_descriptors(packet);
    return Received::malformed;
  }
  packet.bytes = room.first(static_cast<std::size_t>(got));
  return Received::packet;
}

Result<void> send_packet(int socket, std::span<const std::byte> bytes, std::span<const int> descriptors) noexcept {
  if (bytes.empty() || descriptors.size() > kMaxPacketDescriptors)
    return fail(Code::invalid_argument, "a packet needs bytes, and at most four descriptors");
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxPacketDescriptors)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* const c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(c), descriptors.data(), descriptors.size_bytes());
  }
  ssize_t sent = -1;
  do {
    sent = ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return socket_error("cannot send a packet");
  return {};
}

Result<FileDescriptor> connect_to(const std::string& path) {
  sockaddr_un address{};
  if (!fill(address, path)) return fail(Code::invalid_argument, "a socket's path must have 1 to 107 characters");
  FileDescriptor fd(::socket(AF_UNIX, kSocketType, 0));
  if (!fd) return socket_error("cannot make a socket");
  if (::connect(fd.get(), generic(address), sizeof(address)) != 0) return socket_error("cannot connect to a socket");
  return fd;
}

Result<SocketPair> make_socket_pair() {
  int fds[2] = {-1, -1};
  if (::socketpair(AF_UNIX, kSocketType, 0, fds) != 0) return socket_error("cannot make a pair of sockets");
  return SocketPair{FileDescriptor(fds[0]), FileDescriptor(fds[1])};
}

Result<PeerCredentials> peer_credentials(int socket) noexcept {
  ucred who{};
  socklen_t length = sizeof(who);
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &length) != 0) return socket_error("SO_PEERCRED failed");
  return PeerCredentials{.pid = who.pid, .uid = who.uid, .gid = who.gid};
}

Listener::Listener(FileDescriptor socket) : socket_(std::move(socket)), spare_(spare_descriptor()) {}

Result<Listener> Listener::bind(const std::string& path, mode_t mode, int backlog) {
  sockaddr_un address{};
  if (!fill(address, path)) return fail(Code::invalid_argument, "a socket's path must have 1 to 107 characters");
  FileDescriptor fd(::socket(AF_UNIX, kSocketType, 0));
  if (!fd) return socket_error("cannot make a socket");
  int bound = ::bind(fd.get(), generic(address), sizeof(address));
  if (bound != 0 && errno == EADDRINUSE) {
    // Left behind by a process that was killed? Only if nobody answers there any more.
    const Result<FileDescriptor> other = connect_to(path);
    if (other || other.error().vendor != ECONNREFUSED)
      return fail(Code::already_exists, "another process listens on the socket's path", EADDRINUSE);
    ::unlink(path.c_str());
    bound = ::bind(fd.get(), generic(address), sizeof(address));
  }
  if (bound != 0) return socket_error("cannot bind a socket to its path");
  // Nobody can connect before listen(), so the mode is in force from the first connection on.
  if (::chmod(path.c_str(), mode) != 0) return socket_error("cannot set the mode of a socket");
  if (::listen(fd.get(), backlog) != 0) return socket_error("cannot listen on a socket");
  return Listener(std::move(fd));
}

Result<Listener> Listener::adopt(FileDescriptor socket) {
  int type = 0, listens = 0;
  socklen_t length = sizeof(int);
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_SEQPACKET ||
      ::getsockopt(socket.get(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) != 0 || listens == 0)
    return fail(Code::invalid_argument, "the passed descriptor is not a listening SOCK_SEQPACKET socket", errno);
  const int flags = ::fcntl(socket.get(), F_GETFL);
  if (flags < 0 || ::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK) != 0 ||
      ::fcntl(socket.get(), F_SETFD, FD_CLOEXEC) != 0)
    return socket_error("cannot make a passed socket non-blocking");
  return Listener(std::move(socket));
}

Result<FileDescriptor> Listener::accept() noexcept {
  for (;;) {
    FileDescriptor fd(::accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) return fd;
    const int error = errno;
    if (error == EAGAIN) return fd;
    if (error == EINTR || error == ECONNABORTED) continue;
    if ((error != EMFILE && error != ENFILE) || !spare_) return socket_error("cannot accept a connection", error);
    // The kernel takes a descriptor before it looks whether anybody waits; so with the spare one we learn that too.
    spare_.reset();
    const bool turned_away = FileDescriptor(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC)).valid();
    spare_ = spare_descriptor();
    if (!turned_away) return FileDescriptor();
    return fail(Code::no_capacity, "out of descriptors: a connection was turned away", error);
  }
}

}  // namespace takt::live
