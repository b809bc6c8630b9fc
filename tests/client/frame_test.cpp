// Frames: what the broker sees of them, their one answer, credits.
#include <poll.h>

#include <cstring>

#include "client/session.hpp"

namespace takt::test {
namespace {

TEST(AFrame, ReachesTheBrokerWithWhatWasWritten) {
  Session s;
  s.connect();
  takt_stream* stream = s.open();
  takt_frame* frame = nullptr;
  ASSERT_EQ(takt_frame_begin(stream, &frame), TAKT_OK);
  std::size_t bytes = 0;
  std::memset(takt_frame_input(frame, 0, &bytes), 2, 64 * 48 * 3 / 2);
  const std::int64_t deadline = takt_now_ns() + 1'000'000'000;
  ASSERT_EQ(takt_frame_submit(frame, 77, 5, deadline), TAKT_OK);
  EXPECT_EQ(takt_frame_submit(frame, 77, 5, deadline), TAKT_E_INVALID);

  const DaemonFrame seen = s.daemon.frame();
  EXPECT_EQ(seen.submit.tag >> 16, 77U);
  EXPECT_EQ(seen.submit.capture_ns, 5);
  EXPECT_EQ(seen.submit.deadline_ns, deadline);
  ASSERT_EQ(seen.inputs.size(), 1U);
  EXPECT_EQ(seen.inputs[0].format, PictureFormat::nv12);
  EXPECT_EQ(seen.inputs[0].dims[0], 48U);
  EXPECT_EQ(seen.inputs[0].dims[1], 64U);

  s.daemon.complete(seen);
  takt_answer answer = s.next();
  EXPECT_EQ(answer.stream, stream);
  EXPECT_EQ(answer.tag, 77U);
  EXPECT_EQ(answer.verdict, TAKT_DONE);
  EXPECT_STREQ(answer.subnet, "0.5");
  ASSERT_EQ(answer.has_result, 1);
  takt_tensor tensor{};
  const void* data = nullptr;
  ASSERT_EQ(takt_answer_output(&answer, 0, &tensor, &data, &bytes), TAKT_OK) << takt_last_error(s.client);
  EXPECT_EQ(tensor.dtype, TAKT_F32);
  EXPECT_EQ(tensor.rank, 1U);
  EXPECT_EQ(tensor.dims[0], 100U);
  EXPECT_EQ(bytes, 400U);
  EXPECT_EQ(static_cast<const float*>(data)[0], 2.0F * 64 * 48 * 3 / 2);
  EXPECT_EQ(takt_answer_output(&answer, 1, &tensor, &data, &bytes), TAKT_E_NOT_FOUND);
  EXPECT_EQ(*static_cast<const char*>(takt_frame_input(answer.frame, 0, nullptr)), 2);  // inputs are still there
  takt_answer_release(s.client, &answer);
  EXPECT_EQ(answer.frame, nullptr);
  EXPECT_EQ(takt_next_answer(s.client, &answer), 0);
}

TEST(AFrame, MayHaveSeveralTensors) {
  Session s;
  s.connect();
  takt_stream_config config = Session::picture_config("adder");
  config.picture = TAKT_PICTURE_NONE;
  takt_stream* stream = s.open(config);
  const DaemonFrame seen = s.submit(stream, 1, 1);
  ASSERT_EQ(seen.inputs.size(), 2U);
  EXPECT_EQ(seen.inputs[0].bytes, 16U);
  EXPECT_EQ(seen.inputs[1].offset - seen.inputs[0].offset, 64U);
}

TEST(AFrame, CanBeDescribedDifferentlyOnce) {
  Session s;
  s.connect();
  takt_stream_config config = Session::picture_config();
  config.slots = 1;
  takt_stream* stream = s.open(config);
  takt_frame* frame = nullptr;
  ASSERT_EQ(takt_frame_begin(stream, &frame), TAKT_OK);
  takt_tensor t{};
  t.dtype = TAKT_U8;
  t.picture = TAKT_NV12;
  t.rank = 2;
  t.dims[0] = 32, t.dims[1] = 32;
  t.strides[0] = 64;
  t.crop[2] = 16, t.crop[3] = 16;
  EXPECT_EQ(takt_frame_describe(frame, 0, &t), TAKT_OK) << takt_last_error(s.client);
  takt_tensor large = t;
  large.dims[0] = 64;
  EXPECT_EQ(takt_frame_describe(frame, 0, &large), TAKT_E_INVALID);
  takt_tensor other = t;
  other.picture = TAKT_RGB;
  EXPECT_EQ(takt_frame_describe(frame, 0, &other), TAKT_E_INVALID);
  EXPECT_EQ(takt_frame_describe(frame, 1, &t), TAKT_E_INVALID);

  ASSERT_EQ(takt_frame_submit(frame, 1, 0, 0), TAKT_OK);
  EXPECT_EQ(takt_frame_describe(frame, 0, &t), TAKT_E_INVALID);  // it is the broker's now
  DaemonFrame seen = s.daemon.frame(1);
  EXPECT_EQ(seen.inputs[0].dims[1], 32U);
  EXPECT_EQ(seen.inputs[0].strides[0], 64U);
  EXPECT_EQ(seen.inputs[0].crop[3], 16U);
  s.daemon.send(wire::Op::verdict, FakeDaemon::verdict_of(seen));
  takt_answer answer = s.next();
  takt_answer_release(s.client, &answer);

  seen = s.submit(stream, 2, 2);  // the slot's next frame is as the stream says
  EXPECT_EQ(seen.inputs[0].dims[1], 64U);
  EXPECT_EQ(seen.inputs[0].strides[0], 0U);
}

TEST(AFrame, IsNoticedAtItsDeadlineAndAnsweredLater) {
  Session s;
  s.connect();
  takt_stream* stream = s.open();
  const DaemonFrame seen = s.submit(stream, 5, 1);
  wire::Notice notice;
  notice.stream = seen.submit.stream;
  notice.tag = seen.submit.tag;
  s.daemon.send(wire::Op::notice, notice);
  s.daemon.send(wire::Op::notice, notice);  // a second one is not believed
  wire::VerdictMessage late = FakeDaemon::verdict_of(seen);
  late.verdict = TAKT_LATE;
  s.daemon.send(wire::Op::verdict, late);

  takt_answer answer = s.next();
  EXPECT_EQ(answer.is_notice, 1);
  EXPECT_EQ(answer.tag, 5U);
  EXPECT_EQ(answer.stream, stream);
  takt_answer_release(s.client, &answer);  // does nothing
  answer = s.next();
  EXPECT_EQ(answer.is_notice, 0);
  EXPECT_EQ(answer.verdict, TAKT_LATE);
  takt_answer_release(s.client, &answer);
  EXPECT_EQ(takt_dispatch(s.client, 0), 0);
  s.daemon.wait_for(wire::Op::release_credit, 1);
  EXPECT_EQ(s.daemon.free_credits(), 64U);
}

TEST(AFrame, ThatTheBrokerRefusesIsAnsweredWithAnError) {
  Session s;
  s.connect();
  takt_stream* stream = s.open();
  s.daemon.script = [&](wire::Op op, std::span<const std::byte> packet) {
    if (op != wire::Op::submit) return false;
    wire::Submit submit;
    std::memcpy(&submit, packet.data(), sizeof submit);
    wire::Failure failure;
    failure.code = static_cast<int>(Code::invalid_argument);
    failure.refused_frame = 1;
    failure.tag = submit.tag;
    failure.stream = submit.stream;
    wire::set_text(failure.text, "not like this");
    s.daemon.send(wire::Op::failure, failure, submit.header.request);
    return true;
  };
  takt_frame* frame = nullptr;
  ASSERT_EQ(takt_frame_begin(stream, &frame), TAKT_OK);
  ASSERT_EQ(takt_frame_submit(frame, 3, 0, 0), TAKT_OK);
  takt_answer answer = s.next();
  EXPECT_EQ(answer.tag, 3U);
  EXPECT_EQ(answer.verdict, TAKT_ERROR);
  EXPECT_STREQ(takt_last_error(s.client), "the broker refused a frame: not like this");
  takt_answer_release(s.client, &answer);
  takt_dispatch(s.client, 0);
  EXPECT_EQ(s.daemon.count(wire::Op::release_credit), 0U);  // its credit was never taken
}

TEST(AFrame, WithAnImpossibleTimeStaysTheApplications) {
  Session s;
  s.connect();
  takt_frame* frame = nullptr;
  ASSERT_EQ(takt_frame_begin(s.open(), &frame), TAKT_OK);
  EXPECT_EQ(takt_frame_submit(frame, 1, -1, 0), TAKT_E_INVALID);
  EXPECT_EQ(takt_frame_submit(frame, 1, 0, -1), TAKT_E_INVALID);
  EXPECT_EQ(takt_frame_submit(frame, 1, 0, takt_now_ns() + 11'000'000'000), TAKT_E_INVALID);
  EXPECT_EQ(takt_frame_submit(frame, 1, 0, 0), TAKT_OK);
}

TEST(AFrame, CanBeCancelled) {
  Session s;
  s.connect();
  takt_stream* stream = s.open();
  takt_frame* frame = nullptr;
  ASSERT_EQ(takt_frame_begin(stream, &frame), TAKT_OK);
  EXPECT_EQ(takt_frame_cancel(frame), TAKT_E_INVALID);
  ASSERT_EQ(takt_frame_submit(frame, 8, 0, 0), TAKT_OK);
  EXPECT_EQ(takt_frame_cancel(frame), TAKT_OK);
  s.daemon.wait_for(wire::Op::cancel, 1);
  wire::VerdictMessage cancelled = FakeDaemon::verdict_of(s.daemon.frame());
  cancelled.verdict = TAKT_CANCELLED;
  s.daemon.send(wire::Op::verdict, cancelled);
  takt_answer answer = s.next();
  EXPECT_EQ(answer.verdict, TAKT_CANCELLED);
  EXPECT_EQ(takt_frame_cancel(answer.frame), TAKT_OK);  // too late is fine
  takt_answer_release(s.client, &answer);
}

TEST(AFrame, ThatIsDiscardedFreesItsSlot) {
  Session s;
  s.connect();
  takt_stream_config config = Session::picture_config();
  config.slots = 1;
  takt_stream* stream = s.open(config);
  takt_frame *first = nullptr, *second = nullptr;
  ASSERT_EQ(takt_frame_begin(stream, &first), TAKT_OK);
  takt_frame_discard(first);
  EXPECT_EQ(takt_frame_begin(stream, &second), TAKT_OK);
}

TEST(Credits, LimitTheSessionAndComeBackWithTheRelease) {
  Session s;
  s.daemon.rules.credits = 2;
  s.connect();
  takt_stream* stream = s.open();
  takt_frame *a = nullptr, *b = nullptr, *c = nullptr;
  ASSERT_EQ(takt_frame_begin(stream, &a), TAKT_OK);
  ASSERT_EQ(takt_frame_begin(stream, &b), TAKT_OK);
  ASSERT_EQ(takt_frame_begin(stream, &c), TAKT_OK);
  ASSERT_EQ(takt_frame_submit(a, 1, 0, 0), TAKT_OK);
  ASSERT_EQ(takt_frame_submit(b, 2, 0, 0), TAKT_OK);
  EXPECT_EQ(takt_frame_submit(c, 3, 0, 0), TAKT_E_NO_CREDIT);  // and stays begun
  s.daemon.complete(s.daemon.frame(1));
  takt_answer answer = s.next();
  EXPECT_EQ(takt_frame_submit(c, 3, 0, 0), TAKT_E_NO_CREDIT);
  takt_answer second = answer;
  takt_answer_release(s.client, &answer);
  takt_answer_release(s.client, &second);  // a copy's release does not count twice
  EXPECT_EQ(takt_frame_submit(c, 3, 0, 0), TAKT_OK);
  EXPECT_EQ(s.daemon.frame(3).submit.tag >> 16, 3U);
}

TEST(Credits, AreReportedByTheNextCallThatTalks) {
  Session s;
  s.connect();
  takt_stream* stream = s.open();
  for (std::size_t i = 1; i <= 3; ++i) s.daemon.complete(s.submit(stream, i, i));
  for (int i = 0; i < 3; ++i) {
    takt_answer answer = s.next();
    takt_answer_release(s.client, &answer);
  }
  takt_dispatch(s.client, 0);
  s.submit(stream, 4, 4);
  EXPECT_EQ(s.daemon.free_credits(), 63U);
}

TEST(Answers, MakeTheDescriptorReadable) {
  Session s;
  s.connect();
  takt_stream* stream = s.open();
  pollfd waiting{takt_fd(s.client), POLLIN, 0};
  EXPECT_EQ(::poll(&waiting, 1, 0), 0);
  s.daemon.complete(s.submit(stream, 1, 1));
  EXPECT_EQ(::poll(&waiting, 1, 10'000), 1);
  EXPECT_EQ(takt_dispatch(s.client, 0), 1);
  EXPECT_EQ(::poll(&waiting, 1, 0), 0);
}

TEST(Answers, ThatComeDuringABlockingCallAreKeptAndAnnounced) {
  Session s;
  s.connect();
  takt_stream* stream = s.open();
  s.daemon.complete(s.submit(stream, 1, 1));
  s.open();
  pollfd waiting{takt_fd(s.client), POLLIN, 0};
  EXPECT_EQ(::poll(&waiting, 1, 10'000), 1);
  EXPECT_EQ(takt_dispatch(s.client, -1), 1);
  takt_answer answer{};
  ASSERT_EQ(takt_next_answer(s.client, &answer), 1);
  EXPECT_EQ(answer.tag, 1U);
  takt_answer_release(s.client, &answer);
}

TEST(Answers, OfAFullSessionAllFitTheQueue) {
  Session s;
  s.connect();
  takt_stream_config config = Session::picture_config();
  config.slots = 64;
  takt_stream* stream = s.open(config);
  for (std::size_t i = 1; i <= 64; ++i) {
    const DaemonFrame seen = s.submit(stream, i, i);
    wire::Notice notice;
    notice.stream = seen.submit.stream;
    notice.tag = seen.submit.tag;
    s.daemon.send(wire::Op::notice, notice);
    s.daemon.send(wire::Op::verdict, FakeDaemon::verdict_of(seen));
  }
  int count = 0;
  while (count < 128) count = takt_dispatch(s.client, 0);
  EXPECT_EQ(count, 128);
  for (std::uint64_t i = 1; i <= 64; ++i) {
    takt_answer notice = s.next(), verdict = s.next();
    EXPECT_EQ(notice.is_notice, 1);
    EXPECT_EQ(notice.tag, i);
    EXPECT_EQ(verdict.tag, i);
    takt_answer_release(s.client, &verdict);
  }
}

}  // namespace
}  // namespace takt::test
