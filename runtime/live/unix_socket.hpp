// AF_UNIX SOCK_SEQPACKET sockets: one packet is one message, with up to four descriptors. Nothing here ever blocks.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "live/file_descriptor.hpp"
#include "takt/result.hpp"

namespace takt::live {

inline constexpr std::size_t kMaxPacketDescriptors = 4;

struct PeerCredentials {
  pid_t pid = 0;  // for display only: pids are reused
  uid_t uid = 0;
  gid_t gid = 0;
};

// What one receive_packet() found.
enum class Received : std::uint8_t {
  packet,     // `bytes` and `descriptors` are filled
  nothing,    // no packet waits
  closed,     // the peer has gone
  malformed,  // empty, longer than the room, or with more descriptors than allowed; they are closed. Close the peer
};

// The bytes of the packet lie in the room that the caller gave; its descriptors are owned here.
struct Packet {
  std::span<std::byte> bytes;
  std::array<FileDescriptor, kMaxPacketDescriptors> descriptors;
  std::size_t descriptor_count = 0;
};

// Takes one packet. Not from two threads for one socket; never blocks or allocates. Overwrites `packet`, closing
// descriptors left in it. Use it level-triggered (one call an event) or call it until `nothing`.
[[nodiscard]] Received receive_packet(int socket, std::span<std::byte> room, Packet& packet) noexcept;

// Sends one packet. Any thread; never blocks or allocates, never raises SIGPIPE. Fails with no_capacity if the peer's
// queue is full, disconnected if it has gone. At most kMaxPacketDescriptors; they stay the caller's.
[[nodiscard]] Result<void> send_packet(int socket, std::span<const std::byte> bytes,
                                       std::span<const int> descriptors = {}) noexcept;

// A message struct whose header says its size.
template <class T>
[[nodiscard]] Result<void> send_message(int socket, const T& message, std::span<const int> descriptors = {}) noexcept {
  return send_packet(socket, std::as_bytes(std::span{&message, 1}), descriptors);
}

// Non-blocking, close-on-exec. Fails with not_found (no such path, or nobody listens), no_permission, no_capacity.
[[nodiscard]] Result<FileDescriptor> connect_to(const std::string& path);

struct SocketPair {
  FileDescriptor first, second;
};
[[nodiscard]] Result<SocketPair> make_socket_pair();

[[nodiscard]] Result<PeerCredentials> peer_credentials(int socket) noexcept;

// A listening socket that keeps a spare descriptor, so that a process out of descriptors can still turn a connection
// away instead of finding it again in every turn of its loop. One thread.
class Listener {
 public:
  // Binds and listens. A socket file that nobody listens on is replaced; a live one is already_exists. `mode` is the
  // file's.
  [[nodiscard]] static Result<Listener> bind(const std::string& path, mode_t mode = 0600, int backlog = 64);
  // One that listens already (socket activation); set non-blocking and close-on-exec.
  [[nodiscard]] static Result<Listener> adopt(FileDescriptor socket);

  // The next connection, non-blocking and close-on-exec; invalid if nobody waits. no_capacity: out of descriptors, the
  // connection was closed.
  [[nodiscard]] Result<FileDescriptor> accept() noexcept;
  [[nodiscard]] int fd() const noexcept { return socket_.get(); }

 private:
  explicit Listener(FileDescriptor socket);
  FileDescriptor socket_, spare_;
};

}  // namespace takt::live
