// Packets between processes, and everything a hostile peer may try with them.
#include "live/unix_socket.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "models/temporary_folder.hpp"

namespace takt::live {
namespace {

std::span<const std::byte> bytes_of(const char* text) {
  return std::as_bytes(std::span(text, std::strlen(text)));
}

std::string text_of(const Packet& packet) {
  return {reinterpret_cast<const char*>(packet.bytes.data()), packet.bytes.size()};
}

int open_descriptors() {
  int count = 0;
  DIR* const folder = ::opendir("/proc/self/fd");
  while (::readdir(folder) != nullptr) ++count;
  ::closedir(folder);
  return count;
}

// Sends `fds` raw, as a peer does that keeps no rules.
void send_raw(int socket, const char* text, const std::vector<int>& fds) {
  iovec part{const_cast<char*>(text), std::strlen(text)};
  std::vector<char> control(CMSG_SPACE(sizeof(int) * fds.size()));
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(c), fds.data(), sizeof(int) * fds.size());
  }
  ASSERT_GE(::sendmsg(socket, &message, 0), 0);
}

struct Pair {
  SocketPair sockets = *make_socket_pair();
  std::array<std::byte, 64> room{};
  Packet packet;

  Received receive() { return receive_packet(sockets.second.get(), room, packet); }
};

TEST(Packets, ArriveWholeWithTheirDescriptors) {
  Pair pair;
  const FileDescriptor null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::array<int, 2> fds{null.get(), null.get()};
  ASSERT_TRUE(send_packet(pair.sockets.first.get(), bytes_of("hello"), fds));
  ASSERT_TRUE(send_packet(pair.sockets.first.get(), bytes_of("again")));
  ASSERT_EQ(pair.receive(), Received::packet);
  EXPECT_EQ(text_of(pair.packet), "hello");
  ASSERT_EQ(pair.packet.descriptor_count, 2U);
  EXPECT_NE(::fcntl(pair.packet.descriptors[1].get(), F_GETFD) & FD_CLOEXEC, 0);
  ASSERT_EQ(pair.receive(), Received::packet);
  EXPECT_EQ(text_of(pair.packet), "again");
  EXPECT_EQ(pair.packet.descriptor_count, 0U);
  EXPECT_EQ(pair.receive(), Received::nothing);
}

TEST(Packets, LongerThanTheRoomAreMalformed) {
  Pair pair;
  ASSERT_TRUE(send_packet(pair.sockets.first.get(), bytes_of(std::string(65, 'x').c_str())));
  EXPECT_EQ(pair.receive(), Received::malformed);
  ASSERT_TRUE(send_packet(pair.sockets.first.get(), bytes_of(std::string(64, 'x').c_str())));
  EXPECT_EQ(pair.receive(), Received::packet);
}

TEST(Packets, WithTooManyDescriptorsAreMalformedAndLeakNone) {
  Pair pair;
  const FileDescriptor null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int before = open_descriptors();
  for (const std::size_t count : {5UL, 6UL, 253UL}) {
    send_raw(pair.sockets.first.get(), "x", std::vector<int>(count, null.get()));
    EXPECT_EQ(pair.receive(), Received::malformed) << count;
    EXPECT_EQ(open_descriptors(), before) << count;
  }
  send_raw(pair.sockets.first.get(), std::string(100, 'x').c_str(), {null.get(), null.get()});
  EXPECT_EQ(pair.receive(), Received::malformed);
  EXPECT_EQ(open_descriptors(), before);
}

TEST(Packets, LeftDescriptorsAreClosedByTheNextReceive) {
  Pair pair;
  const FileDescriptor null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int before = open_descriptors();
  for (int i = 0; i < 3; ++i) {
    send_raw(pair.sockets.first.get(), "x", {null.get(), null.get(), null.get(), null.get()});
    ASSERT_EQ(pair.receive(), Received::packet);
    EXPECT_EQ(open_descriptors(), before + 4);
  }
}

TEST(Packets, EmptyOnesAreMalformedAndNotTakenForTheEnd) {
  Pair pair;
  ASSERT_EQ(::send(pair.sockets.first.get(), "", 0, 0), 0);
  EXPECT_EQ(pair.receive(), Received::malformed);
  EXPECT_FALSE(send_packet(pair.sockets.first.get(), {}));
}

TEST(Packets, TheEndIsToldAfterWhatWasSentBefore) {
  Pair pair;
  ASSERT_TRUE(send_packet(pair.sockets.first.get(), bytes_of("last")));
  pair.sockets.first.reset();
  EXPECT_EQ(pair.receive(), Received::packet);
  EXPECT_EQ(pair.receive(), Received::closed);
  const Result<void> sent = send_packet(pair.sockets.second.get(), bytes_of("x"));
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, Code::disconnected);
}

TEST(Packets, SendingToAPeerThatNeverReadsFailsInsteadOfBlocking) {
  Pair pair;
  Result<void> sent;
  for (int i = 0; i < 100'000 && sent; ++i) sent = send_packet(pair.sockets.first.get(), bytes_of("frame"));
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, Code::no_capacity);
}

TEST(Listener, ConnectsTwoEndsAndSaysWhoThePeerIs) {
  const test::TemporaryFolder folder;
  Result<Listener> listener = Listener::bind(folder / "s", 0660);
  ASSERT_TRUE(listener);
  struct stat file {};
  ASSERT_EQ(::stat((folder / "s").c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0660U);
  EXPECT_FALSE(listener->accept()->valid());
  const Result<FileDescriptor> client = connect_to(folder / "s");
  ASSERT_TRUE(client);
  const Result<FileDescriptor> server = listener->accept();
  ASSERT_TRUE(server && server->valid());
  const Result<PeerCredentials> peer = peer_credentials(server->get());
  ASSERT_TRUE(peer);
  EXPECT_EQ(peer->uid, ::getuid());
  EXPECT_EQ(peer->pid, ::getpid());
}

TEST(Listener, TakesOverADeadSocketFileButNotALiveOne) {
  const test::TemporaryFolder folder;
  {
    const Result<Listener> first = Listener::bind(folder / "s");
    ASSERT_TRUE(first);
    const Result<Listener> second = Listener::bind(folder / "s");
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Code::already_exists);
    EXPECT_TRUE(connect_to(folder / "s"));
  }
  EXPECT_TRUE(Listener::bind(folder / "s"));
}

TEST(Listener, NobodyThereIsNotFound) {
  const test::TemporaryFolder folder;
  const Result<FileDescriptor> none = connect_to(folder / "s");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::not_found);
  EXPECT_FALSE(connect_to(std::string(108, 'x')));
  EXPECT_FALSE(connect_to(""));
}

TEST(Listener, AdoptsOnlyListeningSeqpacketSockets) {
  const test::TemporaryFolder folder;
  Result<SocketPair> pair = make_socket_pair();
  EXPECT_FALSE(Listener::adopt(std::move(pair->first)));
  EXPECT_FALSE(Listener::adopt(FileDescriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC))));
  const Result<Listener> bound = Listener::bind(folder / "s");
  const Result<Listener> adopted = Listener::adopt(FileDescriptor(::dup(bound->fd())));
  EXPECT_TRUE(adopted);
}

TEST(Listener, TurnsConnectionsAwayWhenOutOfDescriptors) {
  const test::TemporaryFolder folder;
  Result<Listener> listener = Listener::bind(folder / "s");
  const Result<FileDescriptor> client = connect_to(folder / "s");
  ASSERT_TRUE(listener && client);
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const FileDescriptor highest(::dup(client->get()));
  // The next free number is at the limit, so accept has none.
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(highest.get()) + 1;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const Result<FileDescriptor> refused = listener->accept();
  const Result<FileDescriptor> nobody = listener->accept();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::no_capacity);
  // It is gone from the queue, so the loop does not spin on it; and the spare is back for the next time.
  ASSERT_TRUE(nobody);
  EXPECT_FALSE(nobody->valid());
  Packet packet;
  std::array<std::byte, 8> room{};
  EXPECT_EQ(receive_packet(client->get(), room, packet), Received::closed);
  const Result<FileDescriptor> later = connect_to(folder / "s");
  EXPECT_TRUE(listener->accept()->valid());
}

}  // namespace
}  // namespace takt::live
