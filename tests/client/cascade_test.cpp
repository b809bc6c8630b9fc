// Cascades: credits and result areas of children, answers on their own streams.
#include <string>

#include "client/session.hpp"

namespace takt::test {
namespace {

// A parent and its child, and a frame of the parent that the broker saw.
struct Cascade : Session {
  takt_stream *parent = nullptr, *child = nullptr;
  std::uint64_t area = align_result(daemon.rules.models[0].result_bytes);

  Cascade() {
    connect();
    parent = open();
    child = open_child(parent);
  }
  // A verdict of the n-th stream that was opened.
  void say(const DaemonFrame& frame, std::size_t n, std::uint8_t credits, bool follows, bool result = false) {
    wire::VerdictMessage m = FakeDaemon::verdict_of(frame);
    m.stream = daemon.opened(n);
    m.credits = credits;
    m.child_follows = follows ? 1 : 0;
    m.has_result = result ? 1 : 0;
    m.result_offset += (n - 1) * area;
    if (result) daemon.write_result(frame, (n - 1) * area);
    daemon.send(wire::Op::verdict, m);
  }
};

TEST(ACascade, AsksForTheChildBelowItsParent) {
  Cascade c;
  const wire::OpenStream asked = c.daemon.stream(c.daemon.opened(2)).asked;
  EXPECT_EQ(asked.parent, c.daemon.opened(1));
  EXPECT_EQ(asked.form, 0);  // the picture is the parent's
  EXPECT_EQ(asked.trigger_op, 1);
  EXPECT_EQ(asked.trigger_threshold, 0.6F);
  takt_frame* frame = nullptr;
  EXPECT_EQ(takt_frame_begin(c.child, &frame), TAKT_E_INVALID);
}

TEST(ACascade, RefusesAMetricThatTheParentHasNot) {
  Cascade c;
  takt_stream_config config = Session::picture_config();
  config.parent = c.parent;
  config.trigger_metric = "top5";
  takt_stream* stream = nullptr;
  EXPECT_EQ(takt_stream_open(c.client, &config, &stream, nullptr), TAKT_E_NOT_FOUND);
  EXPECT_STREQ(takt_last_error(c.client), "slim_resnet has no metric top5");
}

TEST(ACascade, TakesACreditAndAResultAreaForEveryStreamBelow) {
  Cascade c;
  c.open_child(c.child);
  const DaemonFrame seen = c.submit(c.parent, 1, 1);
  EXPECT_EQ(seen.submit.children, 2U);
  EXPECT_GE(c.daemon.pool(seen.submit.result_pool).bytes, 4 * 3 * c.area);
  EXPECT_EQ(c.daemon.free_credits(), 61U);
  EXPECT_EQ(c.submit(c.parent, 2, 2).submit.result_offset, 3 * c.area);
}

TEST(ACascade, AnswersOnEveryStreamWithTheSameTag) {
  Cascade c;
  const DaemonFrame seen = c.submit(c.parent, 42, 1);
  c.say(seen, 1, 1, true, true);
  takt_answer first = c.next();
  EXPECT_EQ(first.stream, c.parent);
  EXPECT_EQ(first.child_follows, 1);
  c.say(seen, 2, 1, false, true);
  takt_answer second = c.next();
  EXPECT_EQ(second.stream, c.child);
  EXPECT_EQ(second.tag, 42U);

  const void *parents = nullptr, *childs = nullptr;
  ASSERT_EQ(takt_answer_output(&first, 0, nullptr, &parents, nullptr), TAKT_OK);
  ASSERT_EQ(takt_answer_output(&second, 0, nullptr, &childs, nullptr), TAKT_OK);
  EXPECT_EQ(static_cast<const std::byte*>(childs) - static_cast<const std::byte*>(parents),
            static_cast<std::ptrdiff_t>(c.area));
  takt_answer_release(c.client, &first);
  EXPECT_EQ(takt_answer_output(&second, 0, nullptr, &childs, nullptr), TAKT_OK);  // still held
  EXPECT_NE(takt_frame_input(second.frame, 0, nullptr), nullptr);
  takt_answer_release(c.client, &second);
  takt_dispatch(c.client, 0);
  c.daemon.wait_for(wire::Op::release_credit, 1);
  EXPECT_EQ(c.daemon.free_credits(), 64U);
}

TEST(ACascade, EndsAllCreditsAtOnceIfTheChildStaysIdle) {
  Cascade c;
  c.say(c.submit(c.parent, 1, 1), 1, 2, false);
  takt_answer answer = c.next();
  takt_answer_release(c.client, &answer);
  takt_dispatch(c.client, 0);
  c.daemon.wait_for(wire::Op::release_credit, 1);
  EXPECT_EQ(c.daemon.free_credits(), 64U);
}

TEST(ACascade, KeepsOldResultsReadableWhenAChildComesLater) {
  Session s;
  s.connect();
  takt_stream* parent = s.open();
  const DaemonFrame alone = s.submit(parent, 1, 1);
  s.daemon.complete(alone);
  takt_answer answer = s.next();
  s.open_child(parent);
  const DaemonFrame together = s.submit(parent, 2, 2);
  EXPECT_NE(together.submit.result_pool, alone.submit.result_pool);
  const void* data = nullptr;
  ASSERT_EQ(takt_answer_output(&answer, 0, nullptr, &data, nullptr), TAKT_OK);
  EXPECT_EQ(static_cast<const float*>(data)[7], 7.0F);
  EXPECT_EQ(s.daemon.count(wire::Op::free_pool), 0U);
  takt_answer_release(s.client, &answer);
  s.daemon.wait_for(wire::Op::free_pool, 1);  // the smaller pool goes with its last answer
}

TEST(ACascade, WithoutItsChildTakesOneCreditAgain) {
  Cascade c;
  const DaemonFrame before = c.submit(c.parent, 1, 1);
  c.say(before, 1, 1, true);
  takt_stream_close(c.child);
  EXPECT_EQ(c.submit(c.parent, 2, 2).submit.children, 0U);
  takt_answer answer = c.next();
  takt_answer_release(c.client, &answer);
  wire::VerdictMessage cancelled = FakeDaemon::verdict_of(before);  // of the closed child
  cancelled.stream = 101;
  cancelled.credits = 1;
  cancelled.verdict = TAKT_CANCELLED;
  c.daemon.send(wire::Op::verdict, cancelled);
  answer = c.next();
  EXPECT_EQ(answer.tag, 1U);
  EXPECT_EQ(answer.stream, nullptr);
  takt_answer_release(c.client, &answer);
  takt_dispatch(c.client, 0);
  c.daemon.wait_for(wire::Op::release_credit, 2);
  EXPECT_EQ(c.daemon.free_credits(), 63U);
}

TEST(ACascade, OutlivesTheEndOfItsParent) {
  Cascade c;
  takt_stream_close(c.parent);
  takt_stream_close(c.child);
  c.open();
  EXPECT_EQ(takt_is_connected(c.client), 1);
}

}  // namespace
}  // namespace takt::test
