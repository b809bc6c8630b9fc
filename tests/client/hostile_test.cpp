// A broker that lies: the library must close the connection with a reason, answer its frames, and never be hurt.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <random>

#include "client/session.hpp"

namespace takt::test {
namespace {

// A session with one frame in flight; after something impossible the frame is answered and the connection is over.
struct Attacked : Session {
  takt_stream* stream = nullptr;
  DaemonFrame seen;

  Attacked() {
    connect();
    stream = open();
    seen = submit(stream, 9, 1);
  }
  template <class T>
  std::span<const std::byte> bytes(const T& message, std::size_t size = sizeof(T)) {
    return std::as_bytes(std::span(&message, 1)).first(size);
  }
  wire::VerdictMessage verdict() {
    wire::VerdictMessage m = FakeDaemon::verdict_of(seen);
    m.header.op = wire::Op::verdict;
    m.header.bytes = sizeof m;
    return m;
  }
  void expect_closed(const char* what) {
    notice_loss();
    takt_answer answer{};
    ASSERT_EQ(takt_next_answer(client, &answer), 1) << what;
    EXPECT_EQ(answer.verdict, TAKT_RESTARTED) << what;
    EXPECT_EQ(answer.tag, 9U);
    takt_answer_release(client, &answer);
    takt_frame* frame = nullptr;
    EXPECT_EQ(takt_frame_begin(stream, &frame), TAKT_E_DISCONNECTED);
    EXPECT_NE(std::strstr(takt_last_error(client), what), nullptr) << what << ": " << takt_last_error(client);
  }
};

TEST(AHostileBroker, SendsATruncatedMessage) {
  Attacked a;
  wire::VerdictMessage m = a.verdict();
  m.header.bytes = 40;
  a.daemon.send_raw(a.bytes(m, 40));
  a.expect_closed("wrong size");
}

TEST(AHostileBroker, SendsLessThanAHeader) {
  Attacked a;
  a.daemon.send_raw(a.bytes(a.verdict(), 7));
  a.expect_closed("shorter than its header");
}

TEST(AHostileBroker, SendsAnEmptyPacket) {
  Attacked a;
  a.daemon.send_raw({});
  a.expect_closed("closed");
}

TEST(AHostileBroker, SendsAnOversizedMessage) {
  Attacked a;
  const std::vector<std::byte> large(wire::kMaxMessage + 1);
  a.daemon.send_raw(large);
  a.expect_closed("too long");
}

TEST(AHostileBroker, HasAnotherMagic) {
  Attacked a;
  wire::VerdictMessage m = a.verdict();
  m.header.magic ^= 1;
  a.daemon.send_raw(a.bytes(m));
  a.expect_closed("no message of takt");
}

TEST(AHostileBroker, AnswersWhatNobodyAsked) {
  Attacked a;
  a.daemon.send(wire::Op::stream_opened, wire::StreamOpened{}, 3);
  a.expect_closed("nobody asked");
}

TEST(AHostileBroker, AnswersAFrameThatIsNotInFlight) {
  Attacked a;
  wire::VerdictMessage m = a.verdict();
  m.tag += wire::kMaxCredits;
  a.daemon.send_raw(a.bytes(m));
  a.expect_closed("not in flight");
}

TEST(AHostileBroker, EndsMoreCreditsThanAFrameHas) {
  Attacked a;
  wire::VerdictMessage m = a.verdict();
  m.credits = 2;
  a.daemon.send_raw(a.bytes(m));
  a.expect_closed("do not add up");
}

TEST(AHostileBroker, EndsNoCredit) {
  Attacked a;
  wire::VerdictMessage m = a.verdict();
  m.credits = 0;
  a.daemon.send_raw(a.bytes(m));
  a.expect_closed("do not add up");
}

TEST(AHostileBroker, AnnouncesAChildThatHasNoCredit) {
  Attacked a;
  wire::VerdictMessage m = a.verdict();
  m.child_follows = 1;
  a.daemon.send_raw(a.bytes(m));
  a.expect_closed("do not add up");
}

TEST(AHostileBroker, LetsAnUnknownChildAnswerFirst) {
  Attacked a;
  wire::VerdictMessage m = a.verdict();
  m.stream += 1000;
  a.daemon.send_raw(a.bytes(m));
  a.expect_closed("before its parent");
}

TEST(AHostileBroker, PutsTheResultOutsideOfTheFramesArea) {
  const std::uint64_t offsets[] = {64, 1, ~std::uint64_t{63}, std::uint64_t{1} << 40};
  for (const std::uint64_t offset : offsets) {
    Attacked a;
    wire::VerdictMessage m = a.verdict();
    m.has_result = 1;
    m.result_offset += offset;
    a.daemon.send_raw(a.bytes(m));
    a.expect_closed("outside of the frame's area");
  }
}

TEST(AHostileBroker, AnswersAFrameTwice) {
  Attacked a;
  a.daemon.send(wire::Op::verdict, a.verdict());
  a.daemon.send_raw(a.bytes(a.verdict()));
  a.notice_loss();
  takt_answer answer{};
  ASSERT_EQ(takt_next_answer(a.client, &answer), 1);
  EXPECT_EQ(answer.verdict, TAKT_DONE);
  takt_answer_release(a.client, &answer);
  EXPECT_EQ(takt_next_answer(a.client, &answer), 0);
}

TEST(AHostileBroker, RefusesAFrameTwice) {
  Attacked a;
  wire::Failure m;
  m.refused_frame = 1;
  m.tag = a.seen.submit.tag;
  a.daemon.send(wire::Op::failure, m);
  a.daemon.send(wire::Op::failure, m);
  a.notice_loss();
  takt_answer answer{};
  ASSERT_EQ(takt_next_answer(a.client, &answer), 1);
  EXPECT_EQ(answer.verdict, TAKT_ERROR);
  takt_answer_release(a.client, &answer);
  EXPECT_EQ(takt_next_answer(a.client, &answer), 0);
}

TEST(AHostileBroker, EndsTheSessionAndItsReasonIsKept) {
  Attacked a;
  wire::Failure m;
  wire::set_text(m.text, "you talk too much");
  a.daemon.send(wire::Op::failure, m, 0);
  a.expect_closed("you talk too much");
}

TEST(AHostileBroker, SendsDescriptorsThatAreClosed) {
  Attacked a;
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  a.daemon.send(wire::Op::verdict, a.verdict(), 0, ends[1]);
  ::close(ends[1]);
  a.expect_closed("descriptors");
  char byte = 0;
  EXPECT_EQ(::read(ends[0], &byte, 1), 0);  // end of file: no copy of it is open
  ::close(ends[0]);
}

// Outputs that point anywhere but into the result area.
TEST(AHostileBroker, WritesResultsThatPointElsewhere) {
  Attacked a;
  a.daemon.complete(a.seen);
  takt_answer answer = a.next();
  auto* header = reinterpret_cast<ResultHeader*>(a.daemon.area(a.seen));
  const ResultHeader good = *header;
  const void* data = nullptr;
  const auto spoil = [&](auto change) {
    *header = good;
    change(*header);
    takt_tensor tensor{};
    std::size_t bytes = 0;
    return takt_answer_output(&answer, 0, &tensor, &data, &bytes);
  };
  EXPECT_EQ(spoil([](ResultHeader&) {}), TAKT_OK);
  EXPECT_EQ(spoil([](ResultHeader& h) { h.count = 0; }), TAKT_E_NOT_FOUND);
  EXPECT_EQ(spoil([](ResultHeader& h) { h.count = 9; }), TAKT_E_PROTOCOL);
  EXPECT_EQ(spoil([](ResultHeader& h) { h.tensors[0].offset = std::uint64_t{1} << 40; }), TAKT_E_PROTOCOL);
  EXPECT_EQ(spoil([](ResultHeader& h) { h.tensors[0].offset = ~std::uint64_t{3}; }), TAKT_E_PROTOCOL);
  EXPECT_EQ(spoil([](ResultHeader& h) { h.tensors[0].bytes = 4096; }), TAKT_E_PROTOCOL);
  EXPECT_EQ(spoil([](ResultHeader& h) { h.tensors[0].dims[0] = 0x40000000; }), TAKT_E_PROTOCOL);
  EXPECT_EQ(spoil([](ResultHeader& h) { h.tensors[0].rank = 7; }), TAKT_E_PROTOCOL);
  EXPECT_EQ(spoil([](ResultHeader& h) { h.tensors[0].dtype = static_cast<DType>(77); }), TAKT_E_PROTOCOL);
  EXPECT_EQ(spoil([](ResultHeader& h) { h.tensors[0].strides[0] = 0xfffffffc; }), TAKT_E_PROTOCOL);
  EXPECT_EQ(spoil([](ResultHeader& h) { h.tensors[0].dims[0] = 0; }), TAKT_OK);  // nothing was found: that is fine
  takt_answer_release(a.client, &answer);
}

// Memory that could be taken away under the application.
TEST(AHostileBroker, LendsMemoryThatCanShrink) {
  for (const int seals : {0, F_SEAL_GROW}) {
    Session s;
    s.daemon.script = [&](wire::Op op, std::span<const std::byte> packet) {
      if (op != wire::Op::create_pool) return false;
      const auto m = wire::decode<wire::CreatePool>(packet);
      const int fd = ::memfd_create("bad", MFD_CLOEXEC | MFD_ALLOW_SEALING);
      EXPECT_EQ(::ftruncate(fd, static_cast<off_t>(m->bytes)), 0);
      ::fcntl(fd, F_ADD_SEALS, seals);
      wire::PoolCreated created;
      created.pool = 1;
      created.bytes = m->bytes;
      s.daemon.send(wire::Op::pool_created, created, m->header.request, fd);
      ::close(fd);
      return true;
    };
    s.connect();
    const takt_stream_config config = Session::picture_config();
    takt_stream* stream = nullptr;
    EXPECT_EQ(takt_stream_open(s.client, &config, &stream, nullptr), TAKT_E_PROTOCOL) << takt_last_error(s.client);
    EXPECT_EQ(takt_is_connected(s.client), 0);
    s.daemon.script = nullptr;
  }
}

TEST(AHostileBroker, LendsLessMemoryThanItSays) {
  Session s;
  s.daemon.script = [&](wire::Op op, std::span<const std::byte> packet) {
    if (op != wire::Op::create_pool) return false;
    const auto m = wire::decode<wire::CreatePool>(packet);
    const int fd = ::memfd_create("bad", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    EXPECT_EQ(::ftruncate(fd, 4096), 0);
    ::fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
    wire::PoolCreated created;
    created.bytes = m->bytes;
    s.daemon.send(wire::Op::pool_created, created, m->header.request, fd);
    ::close(fd);
    return true;
  };
  s.connect();
  const takt_stream_config config = Session::picture_config();
  takt_stream* stream = nullptr;
  EXPECT_EQ(takt_stream_open(s.client, &config, &stream, nullptr), TAKT_E_PROTOCOL);
}

TEST(AHostileBroker, HasNoEndOfModels) {
  Session s;
  s.daemon.rules.models.assign(300, picture_model("again", 1));
  s.daemon.start();
  EXPECT_EQ(takt_connect(s.path.c_str(), "test", &s.client), TAKT_E_PROTOCOL);
  EXPECT_NE(std::strstr(takt_last_error(nullptr), "does not end"), nullptr) << takt_last_error(nullptr);
}

// Random damage to good messages of every kind: whatever happens, every frame is answered once and nothing breaks.
TEST(AHostileBroker, SendsDamagedMessages) {
  std::mt19937 random(20240601);
  for (int round = 0; round < 150; ++round) {
    Attacked a;
    wire::Notice notice;
    notice.stream = a.seen.submit.stream;
    notice.tag = a.seen.submit.tag;
    notice.header.op = wire::Op::notice;
    notice.header.bytes = sizeof notice;
    std::vector<std::byte> packet;
    const auto take = [&](const auto& m) { packet.assign(a.bytes(m).begin(), a.bytes(m).end()); };
    round % 3 == 0 ? take(notice) : take(a.verdict());
    for (unsigned i = 0; i < 1 + random() % 4; ++i) packet[random() % packet.size()] = static_cast<std::byte>(random());
    a.daemon.send_raw(packet);
    a.daemon.hang_up();
    a.notice_loss();
    int verdicts = 0;
    takt_answer answer{};
    while (takt_next_answer(a.client, &answer) == 1) {
      const void* data = nullptr;
      std::size_t bytes = 0;
      if (answer.has_result != 0 && takt_answer_output(&answer, 0, nullptr, &data, &bytes) == TAKT_OK) {
        EXPECT_NE(data, nullptr);
      }
      verdicts += answer.is_notice == 0 ? 1 : 0;
      takt_answer_release(a.client, &answer);
    }
    EXPECT_EQ(verdicts, 1);
  }
}

}  // namespace
}  // namespace takt::test
