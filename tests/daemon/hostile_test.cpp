// Clients that lie: none takes the broker down or disturbs another client; each is told what was wrong.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <random>

#include "live/monotonic_clock.hpp"
#include "live/unix_socket.hpp"
#include "support/live_client.hpp"
#include "support/live_service.hpp"
#include "takt/job.hpp"
#include "wire/decode.hpp"

namespace takt::testing {
namespace {

// Speaks the protocol by hand, so that it can break it.
class RawClient {
 public:
  explicit RawClient(const std::string& path) { socket_ = std::move(*live::connect_to(path)); }
  template <class T>
  void send(wire::Op op, T message, std::span<const int> fds = {}) {
    message.header.op = op;
    if (message.header.bytes == 0) message.header.bytes = sizeof message;
    message.header.request = ++request_;
    ASSERT_TRUE(live::send_message(socket_.get(), message, fds));
  }
  void send_bytes(std::span<const std::byte> bytes) { (void)live::send_packet(socket_.get(), bytes); }
  // The next message; op `done` with no bytes when the broker closed.
  std::span<const std::byte> receive() {
    live::Packet p;
    live::Received what{};
    eventually([&] { return (what = live::receive_packet(socket_.get(), room_, p)) != live::Received::nothing; });
    for (std::size_t i = 0; i < p.descriptor_count; ++i) last_fd_ = std::move(p.descriptors[i]);
    return what == live::Received::packet ? p.bytes : std::span<std::byte>{};
  }
  template <class T>
  T receive_as() {
    T message{};
    const auto bytes = receive();
    EXPECT_EQ(bytes.size(), sizeof message);
    if (bytes.size() == sizeof message) std::memcpy(&message, bytes.data(), sizeof message);
    return message;
  }
  void greet() {
    wire::Hello hello;
    hello.now_ns = to_ns(live::monotonic_now());
    send(wire::Op::hello, hello);
    receive_as<wire::Welcome>();
  }
  std::uint32_t pool(wire::PoolKind kind, std::uint64_t bytes = 65536) {
    send(wire::Op::create_pool, wire::CreatePool{.header = {}, .kind = kind, .bytes = bytes});
    return receive_as<wire::PoolCreated>().pool;
  }
  std::uint32_t stream() {
    wire::OpenStream open;
    open.relative_deadline_ns = 1'000'000'000;
    send(wire::Op::open_stream, open);
    return receive_as<wire::StreamOpened>().stream;
  }
  // A correct frame, to be spoilt.
  std::array<std::byte, sizeof(wire::Submit) + sizeof(TensorDesc)> frame(std::uint32_t stream, std::uint32_t in, std::uint32_t out,
                                                                         const std::function<void(wire::Submit&, TensorDesc&)>& spoil) {
    wire::Submit m;
    TensorDesc t{.dtype = DType::u8, .rank = 1, .pool = in, .bytes = 64, .dims = {64}};
    m.header = {.op = wire::Op::submit, .bytes = sizeof m + sizeof t, .request = ++request_};
    m.stream = stream;
    m.inputs = 1;
    m.tag = request_;
    m.result_pool = out;
    spoil(m, t);
    std::array<std::byte, sizeof m + sizeof t> bytes;
    std::memcpy(bytes.data(), &m, sizeof m);
    std::memcpy(bytes.data() + sizeof m, &t, sizeof t);
    return bytes;
  }

 private:
  live::FileDescriptor socket_, last_fd_;
  std::uint64_t request_ = 0;
  std::array<std::byte, wire::kMaxMessage> room_;
};

class Hostile : public ::testing::Test {
 protected:
  void SetUp() override { service_.start(); }
  // A well-behaved client is served, before and after.
  void TearDown() override {
    ASSERT_TRUE(service_.running());
    LiveClient app(service_.socket());
    takt_stream* s = app.open(LiveClient::config());
    ASSERT_EQ(app.submit(s, 1), 0);
    ASSERT_TRUE(app.await(1));
    EXPECT_EQ(app.count(TAKT_DONE), 1u);
  }
  LiveService service_{{NullModel{}}, 1};
};

TEST_F(Hostile, IsToldWhyAndClosedAfterAMalformedMessage) {
  RawClient c(service_.socket());
  c.greet();
  const std::array<std::byte, 10> shorter{};
  c.send_bytes(shorter);
  const auto failure = c.receive_as<wire::Failure>();
  EXPECT_EQ(failure.header.op, wire::Op::failure);
  EXPECT_EQ(failure.header.request, 0u);
  EXPECT_NE(failure.text[0], '\0');
  EXPECT_TRUE(c.receive().empty());
}

TEST_F(Hostile, IsClosedAfterAnOversizedPacket) {
  RawClient c(service_.socket());
  c.greet();
  const std::vector<std::byte> huge(100'000);
  c.send_bytes(huge);
  EXPECT_EQ(c.receive_as<wire::Failure>().header.op, wire::Op::failure);
  EXPECT_TRUE(c.receive().empty());
}

TEST_F(Hostile, IsTurnedAwayWithAnUnknownProtocolVersion) {
  RawClient c(service_.socket());
  wire::Hello hello;
  hello.min_major = hello.max_major = 99;
  hello.now_ns = to_ns(live::monotonic_now());
  c.send(wire::Op::hello, hello);
  EXPECT_NE(std::string(c.receive_as<wire::Failure>().text.data()).find("major version"), std::string::npos);
}

TEST_F(Hostile, IsTurnedAwayFromAnotherTimeNamespace) {
  RawClient c(service_.socket());
  wire::Hello hello;
  hello.now_ns = to_ns(live::monotonic_now()) + 3'600'000'000'000;
  c.send(wire::Op::hello, hello);
  EXPECT_NE(std::string(c.receive_as<wire::Failure>().text.data()).find("time namespace"), std::string::npos);
}

// Its requests are still on their way when its session ends, and the next session gets its number.
TEST_F(Hostile, LeavesNothingBehindWhenItHangsUpInTheMiddleOfRequests) {
  constexpr int kTimes = 400;  // more than there are streams
  for (int i = 0; i < kTimes; ++i) {
    RawClient c(service_.socket());
    c.greet();
    const std::uint32_t pool = c.pool(wire::PoolKind::frames);
    wire::OpenStream open;
    open.relative_deadline_ns = 1'000'000'000;
    c.send(wire::Op::open_stream, open);
    c.send(wire::Op::free_pool, wire::FreePool{.header = {}, .pool = pool});
    c.send(wire::Op::close_stream, wire::CloseStream{.header = {}, .stream = 0});
  }
  LiveClient app(service_.socket());
  for (int i = 0; i < 8; ++i) EXPECT_NE(app.open(LiveClient::config(1000, 1)), nullptr);
}

TEST_F(Hostile, CannotImportMemoryThatIsNotSealed) {
  RawClient c(service_.socket());
  c.greet();
  const live::FileDescriptor fd(::memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(fd.get(), 65536), 0);
  const int raw = fd.get();
  c.send(wire::Op::import_pool, wire::CreatePool{.header = {}, .kind = wire::PoolKind::frames, .bytes = 65536}, {&raw, 1});
  EXPECT_EQ(c.receive_as<wire::Failure>().code, static_cast<int>(Code::unsupported));
}

TEST_F(Hostile, CannotImportMemoryShorterThanItSays) {
  RawClient c(service_.socket());
  c.greet();
  const live::FileDescriptor fd(::memfd_create("short", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(fd.get(), 4096), 0);
  ASSERT_EQ(::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
  const int raw = fd.get();
  c.send(wire::Op::import_pool, wire::CreatePool{.header = {}, .kind = wire::PoolKind::frames, .bytes = 65536}, {&raw, 1});
  EXPECT_EQ(c.receive_as<wire::Failure>().code, static_cast<int>(Code::invalid_argument));
}

TEST_F(Hostile, IsRefusedEveryForgedFrameAndKeepsItsCredits) {
  RawClient c(service_.socket());
  c.greet();
  const std::uint32_t in = c.pool(wire::PoolKind::frames), out = c.pool(wire::PoolKind::results), stream = c.stream();
  const std::vector<std::function<void(wire::Submit&, TensorDesc&)>> forgeries{
      [](wire::Submit&, TensorDesc& t) { t.offset = 65536 - 32; },
      [](wire::Submit&, TensorDesc& t) { t.offset = ~0ULL - 16; },
      [](wire::Submit&, TensorDesc& t) { t.bytes = ~0ULL; },
      [](wire::Submit&, TensorDesc& t) { t.dims[0] = 0xffffffff; },
      [](wire::Submit&, TensorDesc& t) { t.dims[0] = 0; },
      [](wire::Submit&, TensorDesc& t) { t.rank = 200; },
      [](wire::Submit&, TensorDesc& t) { t.strides[0] = 0x80000000; },
      [](wire::Submit&, TensorDesc& t) { t.dtype = static_cast<DType>(99); },
      [](wire::Submit&, TensorDesc& t) { t.pool = 0; },
      [](wire::Submit&, TensorDesc& t) { t.pool = 64; },
      [](wire::Submit&, TensorDesc& t) { t.pool = 4'000'000; },
      [out](wire::Submit&, TensorDesc& t) { t.pool = out; },
      [](wire::Submit& m, TensorDesc&) { m.result_pool = 77; },
      [](wire::Submit& m, TensorDesc&) { m.result_offset = 65536; },
      [](wire::Submit& m, TensorDesc&) { m.result_offset = ~0ULL << 6; },
      [](wire::Submit& m, TensorDesc&) { m.result_offset = 8; },
      [](wire::Submit& m, TensorDesc&) { m.stream = 12345678; },
      [](wire::Submit& m, TensorDesc&) { m.children = 5; },
      [](wire::Submit& m, TensorDesc&) { m.deadline_ns = to_ns(live::monotonic_now()) + 3'600'000'000'000; },
  };
  for (std::size_t i = 0; i < forgeries.size(); ++i) {
    c.send_bytes(c.frame(stream, in, out, forgeries[i]));
    const auto failure = c.receive_as<wire::Failure>();
    EXPECT_EQ(failure.header.op, wire::Op::failure) << i;
    EXPECT_EQ(failure.refused_frame, 1u) << i;
    EXPECT_NE(failure.text[0], '\0') << i;
  }
  c.send_bytes(c.frame(stream, in, out, [](wire::Submit&, TensorDesc&) {}));
  EXPECT_EQ(c.receive_as<wire::VerdictMessage>().verdict, static_cast<std::uint8_t>(Verdict::done));
}

TEST_F(Hostile, CannotUseStreamsOrPoolsOfAnotherSession) {
  RawClient owner(service_.socket()), thief(service_.socket());
  owner.greet();
  thief.greet();
  const std::uint32_t in = owner.pool(wire::PoolKind::frames), out = owner.pool(wire::PoolKind::results), stream = owner.stream();
  thief.send_bytes(thief.frame(stream, in, out, [](wire::Submit&, TensorDesc&) {}));
  EXPECT_EQ(thief.receive_as<wire::Failure>().refused_frame, 1u);
  thief.send(wire::Op::close_stream, wire::CloseStream{.header = {}, .stream = stream});
  EXPECT_EQ(thief.receive_as<wire::Failure>().code, static_cast<int>(Code::not_found));
  owner.send_bytes(owner.frame(stream, in, out, [](wire::Submit&, TensorDesc&) {}));
  EXPECT_EQ(owner.receive_as<wire::VerdictMessage>().verdict, static_cast<std::uint8_t>(Verdict::done));
}

TEST_F(Hostile, CannotReleaseCreditsThatItWasNotGiven) {
  RawClient c(service_.socket());
  c.greet();
  c.send(wire::Op::release_credit, wire::ReleaseCredit{.header = {}, .count = 1000});
  EXPECT_EQ(c.receive_as<wire::Failure>().header.op, wire::Op::failure);
  EXPECT_TRUE(c.receive().empty());
}

TEST_F(Hostile, IsRefusedAnUnknownModelAndAnImpossiblePool) {
  RawClient c(service_.socket());
  c.greet();
  wire::OpenStream open;
  open.model = 999;
  c.send(wire::Op::open_stream, open);
  EXPECT_EQ(c.receive_as<wire::Failure>().code, static_cast<int>(Code::not_found));
  c.send(wire::Op::create_pool, wire::CreatePool{.header = {}, .kind = wire::PoolKind::frames, .bytes = 1ULL << 39});
  EXPECT_EQ(c.receive_as<wire::Failure>().code, static_cast<int>(Code::no_capacity));
}

TEST_F(Hostile, DoesNoHarmWithThousandsOfRandomAndMutatedPackets) {
  std::mt19937 random(1);
  for (int round = 0; round < 60; ++round) {
    RawClient c(service_.socket());
    c.greet();
    const std::uint32_t in = c.pool(wire::PoolKind::frames), out = c.pool(wire::PoolKind::results), stream = c.stream();
    for (int i = 0; i < 40; ++i) {
      auto bytes = c.frame(stream, in, out, [](wire::Submit&, TensorDesc&) {});
      for (int flips = static_cast<int>(random() % 4) + 1; flips > 0; --flips) {
        const std::size_t first = round % 2 == 0 ? sizeof(wire::Header) : 0;
        bytes[first + random() % (bytes.size() - first)] = static_cast<std::byte>(random());
      }
      c.send_bytes(bytes);
    }
  }
}

}  // namespace
}  // namespace takt::testing
