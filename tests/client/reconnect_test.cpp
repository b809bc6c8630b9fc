// A broker that goes away and comes back: every frame is answered once, streams and memory go on.
#include <poll.h>

#include <cstring>
#include <future>
#include <map>

#include "client/session.hpp"

namespace takt::test {
namespace {

TEST(ARestart, AnswersEveryFrameInFlightExactlyOnce) {
  Session s;
  s.connect();
  takt_stream_config config = Session::picture_config();
  config.slots = 8;
  takt_stream* stream = s.open(config);
  for (std::size_t i = 1; i <= 5; ++i) s.submit(stream, i, i);
  s.daemon.complete(s.daemon.frame(2));  // this one arrived, and is not lost
  s.daemon.stop();
  s.notice_loss();

  std::map<std::uint64_t, int> verdicts;
  takt_answer answer{};
  while (takt_next_answer(s.client, &answer) == 1) {
    EXPECT_EQ(answer.verdict, answer.tag == 2 ? TAKT_DONE : TAKT_RESTARTED);
    EXPECT_EQ(answer.stream, stream);
    ++verdicts[answer.tag];
    takt_answer_release(s.client, &answer);
  }
  EXPECT_EQ(verdicts, (std::map<std::uint64_t, int>{{1, 1}, {2, 1}, {3, 1}, {4, 1}, {5, 1}}));
  takt_frame* frame = nullptr;
  EXPECT_EQ(takt_frame_begin(stream, &frame), TAKT_E_DISCONNECTED) << takt_last_error(s.client);
}

TEST(ARestart, IsGotOverWithoutTheApplication) {
  Session s;
  s.connect();
  takt_stream* stream = s.open();
  const DaemonFrame before = s.submit(stream, 1, 1);
  s.daemon.stop();
  s.notice_loss();
  takt_answer answer = s.next();
  takt_answer_release(s.client, &answer);

  s.daemon.start();
  s.reconnect();
  EXPECT_EQ(takt_generation(s.client), 2U);
  EXPECT_EQ(s.daemon.count(wire::Op::import_pool), 2U);
  EXPECT_EQ(s.daemon.count(wire::Op::create_pool), 0U);
  const DaemonFrame after = s.submit(stream, 2, 1);
  EXPECT_NE(after.submit.stream, before.submit.stream);
  s.daemon.complete(after);
  answer = s.next();
  EXPECT_EQ(answer.verdict, TAKT_DONE);
  EXPECT_EQ(answer.stream, stream);
  takt_answer_release(s.client, &answer);
  takt_dispatch(s.client, 0);
  s.daemon.wait_for(wire::Op::release_credit, 1);
  EXPECT_EQ(s.daemon.free_credits(), 64U);  // nothing of the old connection was counted
}

TEST(ARestart, KeepsFramesThatAreBeingWritten) {
  Session s;
  s.connect();
  takt_stream* stream = s.open();
  takt_frame* frame = nullptr;
  ASSERT_EQ(takt_frame_begin(stream, &frame), TAKT_OK);
  std::memset(takt_frame_input(frame, 0, nullptr), 1, 64 * 48 * 3 / 2);
  s.daemon.stop();
  s.notice_loss();
  EXPECT_EQ(takt_frame_submit(frame, 1, 0, 0), TAKT_E_DISCONNECTED);
  s.daemon.start();
  s.reconnect();
  ASSERT_EQ(takt_frame_submit(frame, 1, 0, 0), TAKT_OK) << takt_last_error(s.client);
  s.daemon.complete(s.daemon.frame());
  takt_answer answer = s.next();
  const void* data = nullptr;
  ASSERT_EQ(takt_answer_output(&answer, 0, nullptr, &data, nullptr), TAKT_OK);
  EXPECT_EQ(*static_cast<const float*>(data), 64.0F * 48 * 3 / 2);
  takt_answer_release(s.client, &answer);
}

TEST(ARestart, KeepsAnswersThatAreBeingRead) {
  Session s;
  s.connect();
  takt_stream* stream = s.open();
  s.daemon.complete(s.submit(stream, 1, 1));
  takt_answer held = s.next();
  s.daemon.stop();
  s.notice_loss();
  s.daemon.start();
  s.reconnect();
  const void* data = nullptr;
  ASSERT_EQ(takt_answer_output(&held, 0, nullptr, &data, nullptr), TAKT_OK);
  EXPECT_EQ(static_cast<const float*>(data)[3], 3.0F);
  takt_answer_release(s.client, &held);
  takt_dispatch(s.client, 0);
  s.submit(stream, 2, 1);
  EXPECT_EQ(s.daemon.count(wire::Op::release_credit), 0U);  // the new broker never lent that credit
}

TEST(ARestart, WithRefusedMemoryMakesNewOnceNoFrameIsOut) {
  Session s;
  s.connect();
  takt_stream* stream = s.open();
  takt_frame* frame = nullptr;
  ASSERT_EQ(takt_frame_begin(stream, &frame), TAKT_OK);
  s.daemon.stop();
  s.notice_loss();
  s.daemon.rules.refuse_imports = true;
  s.daemon.start();
  s.reconnect();
  EXPECT_EQ(takt_frame_submit(frame, 1, 0, 0), TAKT_E_DISCONNECTED) << takt_last_error(s.client);
  takt_frame_discard(frame);
  takt_dispatch(s.client, 0);
  s.submit(stream, 2, 1);
  EXPECT_EQ(s.daemon.count(wire::Op::create_pool), 2U);
}

TEST(ARestart, AnswersACascadeOnceForEveryVerdictThatWasToCome) {
  Session s;
  s.connect();
  takt_stream* parent = s.open();
  takt_stream* child = s.open_child(parent);
  const DaemonFrame waits = s.submit(parent, 1, 1);
  const DaemonFrame began = s.submit(parent, 2, 2);
  const DaemonFrame over = s.submit(parent, 3, 3);
  (void)waits;
  wire::VerdictMessage m = FakeDaemon::verdict_of(began);
  m.credits = 1;
  m.child_follows = 1;
  s.daemon.send(wire::Op::verdict, m);
  s.daemon.send(wire::Op::verdict, FakeDaemon::verdict_of(over));
  s.daemon.stop();
  s.notice_loss();

  std::map<std::pair<std::uint64_t, takt_stream*>, takt_verdict> seen;
  takt_answer answer{};
  while (takt_next_answer(s.client, &answer) == 1) {
    EXPECT_TRUE(seen.emplace(std::pair(answer.tag, answer.stream), answer.verdict).second);
    takt_answer_release(s.client, &answer);
  }
  EXPECT_EQ(seen, (decltype(seen){{{1, parent}, TAKT_RESTARTED},
                                  {{2, parent}, TAKT_DONE},
                                  {{2, child}, TAKT_RESTARTED},
                                  {{3, parent}, TAKT_DONE}}));

  s.daemon.start();
  s.reconnect();
  EXPECT_EQ(s.daemon.stream(s.daemon.opened(2)).parent, s.daemon.opened(1));
  EXPECT_EQ(s.submit(parent, 4, 1).submit.children, 1U);
}

TEST(ARestart, CountsTheChildrenThatFiredByTheCreditsThatAreLeft) {
  Session s;
  s.connect();
  takt_stream* parent = s.open();
  s.open_child(parent);
  s.open_child(parent);
  wire::VerdictMessage m = FakeDaemon::verdict_of(s.submit(parent, 1, 1));
  m.credits = 2;  // its own, and that of the child that stays idle
  m.child_follows = 1;
  s.daemon.send(wire::Op::verdict, m);
  s.daemon.stop();
  s.notice_loss();
  takt_answer answer{};
  int done = 0, restarted = 0;
  while (takt_next_answer(s.client, &answer) == 1) {
    ++(answer.verdict == TAKT_RESTARTED ? restarted : done);
    takt_answer_release(s.client, &answer);
  }
  EXPECT_EQ(done, 1);
  EXPECT_EQ(restarted, 1);
}

TEST(ARestart, AnswersNothingOnAStreamThatCameAfterTheFrame) {
  Session s;
  s.connect();
  takt_stream* parent = s.open();
  takt_stream* child = s.open_child(parent);
  wire::VerdictMessage m = FakeDaemon::verdict_of(s.submit(parent, 1, 1));
  m.credits = 1;
  m.child_follows = 1;
  s.daemon.send(wire::Op::verdict, m);
  takt_answer answer = s.next();
  takt_stream_close(child);
  s.open_child(parent);  // in the place of the closed one
  takt_answer_release(s.client, &answer);
  s.daemon.stop();
  s.notice_loss();
  EXPECT_EQ(takt_next_answer(s.client, &answer), 0);
}

TEST(ARestart, LosesNoVerdictThatWasSentBeforeIt) {
  Session s;
  s.connect();
  takt_stream* stream = s.open();
  std::promise<void> second_is_there;
  s.daemon.script = [&](wire::Op op, std::span<const std::byte> packet) {
    if (op != wire::Op::submit) return false;
    DaemonFrame frame;
    std::memcpy(&frame.submit, packet.data(), sizeof frame.submit);
    s.daemon.send(wire::Op::verdict, FakeDaemon::verdict_of(frame));
    second_is_there.get_future().wait();
    s.daemon.abandon();  // the kernel tells the client of the unread frame before it gives out the verdict
    return true;
  };
  takt_frame *first = nullptr, *second = nullptr;
  ASSERT_EQ(takt_frame_begin(stream, &first), TAKT_OK);
  ASSERT_EQ(takt_frame_begin(stream, &second), TAKT_OK);
  ASSERT_EQ(takt_frame_submit(first, 1, 0, 0), TAKT_OK);
  ASSERT_EQ(takt_frame_submit(second, 2, 0, 0), TAKT_OK);
  second_is_there.set_value();
  s.daemon.wait_for_end();
  std::map<std::uint64_t, takt_verdict> verdicts;
  while (verdicts.size() < 2) {
    takt_answer answer = s.next();
    verdicts[answer.tag] = answer.verdict;
    takt_answer_release(s.client, &answer);
  }
  EXPECT_EQ(verdicts, (decltype(verdicts){{1, TAKT_DONE}, {2, TAKT_RESTARTED}}));
  s.daemon.script = nullptr;
}

TEST(ARestart, ThatRefusesAStreamSaysSoAtTheNextFrame) {
  Session s;
  s.connect();
  takt_stream* stream = s.open();
  takt_stream* child = s.open_child(stream);
  s.daemon.stop();
  s.notice_loss();
  s.daemon.rules.refuse_stream = [](const wire::OpenStream& m) { return m.period_ns < 10'000'000; };
  s.daemon.start();
  s.reconnect();
  takt_frame* frame = nullptr;
  EXPECT_EQ(takt_frame_begin(stream, &frame), TAKT_E_NOT_ADMITTED);
  takt_admission admission{};
  EXPECT_EQ(takt_stream_admission(stream, &admission), TAKT_E_NOT_ADMITTED);
  EXPECT_EQ(admission.reason, takt_admission::TAKT_REASON_UTILISATION);
  EXPECT_EQ(takt_stream_admission(child, &admission), TAKT_E_NOT_ADMITTED);

  takt_stream_config config = Session::picture_config();  // asking for less helps
  config.period_ns = 20'000'000;
  EXPECT_EQ(takt_stream_update(child, &config, nullptr), TAKT_E_NOT_FOUND);  // not before its parent
  EXPECT_EQ(takt_stream_update(stream, &config, nullptr), TAKT_OK) << takt_last_error(s.client);
  EXPECT_EQ(s.submit(stream, 1, 1).submit.children, 0U);
  EXPECT_EQ(takt_stream_update(child, &config, nullptr), TAKT_OK) << takt_last_error(s.client);
  EXPECT_EQ(s.submit(stream, 2, 2).submit.children, 1U);
}

TEST(ARestart, KeepsWhatWasChangedInAPreset) {
  Session s;
  wire::set_text(s.daemon.rules.preset, "front camera");
  s.connect();
  takt_stream_config config;
  takt_stream_config_init(&config);
  config.preset = "front camera";
  takt_stream* stream = s.open(config);
  config.period_ns = 70'000'000;
  ASSERT_EQ(takt_stream_update(stream, &config, nullptr), TAKT_OK) << takt_last_error(s.client);
  s.daemon.stop();
  s.notice_loss();
  s.daemon.rules.models[0].model = 3;  // the new broker counts differently
  s.daemon.start();
  s.reconnect();
  const wire::OpenStream asked = s.daemon.stream(s.daemon.opened(1)).asked;
  EXPECT_EQ(asked.period_ns, 70'000'000);
  EXPECT_EQ(asked.model, 3U);
  s.submit(stream, 1, 1);
}

TEST(ARestart, WithoutTheModelRefusesItsStreams) {
  Session s;
  s.connect();
  takt_stream* stream = s.open();
  s.daemon.stop();
  s.notice_loss();
  s.daemon.rules.models = {tensor_model("adder", 1)};
  s.daemon.start();
  s.reconnect();
  takt_frame* frame = nullptr;
  EXPECT_EQ(takt_frame_begin(stream, &frame), TAKT_E_NOT_ADMITTED);
  takt_stream_close(stream);
  EXPECT_EQ(takt_model_count(s.client), 1);
}

TEST(ARestart, WithOtherInputsRefusesItsStreams) {
  Session s;
  s.connect();
  takt_stream_config config = Session::picture_config("adder");
  config.picture = TAKT_PICTURE_NONE;
  takt_stream* stream = s.open(config);
  s.daemon.stop();
  s.notice_loss();
  s.daemon.rules.models[1].input[0].dims[0] = 4096;
  s.daemon.start();
  s.reconnect();
  takt_frame* frame = nullptr;
  EXPECT_EQ(takt_frame_begin(stream, &frame), TAKT_E_NOT_ADMITTED);
}

TEST(ARestart, WakesWhoeverWaitsForTheDescriptor) {
  Session s;
  s.connect();
  takt_stream* stream = s.open();
  s.submit(stream, 1, 1);
  s.daemon.stop();
  pollfd waiting{takt_fd(s.client), POLLIN, 0};
  EXPECT_EQ(::poll(&waiting, 1, 10'000), 1);
  EXPECT_EQ(takt_dispatch(s.client, 0), 1);
  takt_answer answer = s.next();
  takt_answer_release(s.client, &answer);
  s.daemon.start();
  for (int i = 0; i < 1000 && takt_is_connected(s.client) == 0; ++i) {
    EXPECT_EQ(::poll(&waiting, 1, 10'000), 1);  // the next attempt is due
    takt_dispatch(s.client, 0);
  }
  EXPECT_EQ(takt_is_connected(s.client), 1);
}

TEST(ARestart, HappensManyTimes) {
  Session s;
  s.connect();
  takt_stream* parent = s.open();
  s.open_child(parent);
  std::uint64_t tag = 0;
  for (int round = 0; round < 25; ++round) {
    for (std::size_t i = 1; i <= 4; ++i) s.submit(parent, ++tag, i);
    if (round % 2 == 0) s.daemon.stop();
    if (round % 2 != 0) s.daemon.hang_up();
    int answered = 0;
    for (int i = 0; i < 1000 && answered < 4; ++i) {
      takt_dispatch(s.client, 10'000);
      takt_answer answer{};
      while (takt_next_answer(s.client, &answer) == 1) {
        EXPECT_EQ(answer.verdict, TAKT_RESTARTED);
        takt_answer_release(s.client, &answer);
        ++answered;
      }
    }
    EXPECT_EQ(answered, 4);
    if (round % 2 == 0) s.daemon.start();
    s.reconnect();
  }
}

}  // namespace
}  // namespace takt::test
