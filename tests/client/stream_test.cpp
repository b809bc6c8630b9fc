// Streams: admission, what is asked of the broker, memory, change and end.
#include <cstring>

#include "client/session.hpp"

namespace takt::test {
namespace {

TEST(OpeningAStream, ReportsTheAdmission) {
  Session s;
  s.connect();
  takt_stream_config config = Session::picture_config();
  config.criticality = TAKT_HARD;
  config.period_ns = 33'000'000;
  config.relative_deadline_ns = 30'000'000;
  takt_stream* stream = nullptr;
  takt_admission admission{};
  ASSERT_EQ(takt_stream_open(s.client, &config, &stream, &admission), TAKT_OK) << takt_last_error(s.client);
  EXPECT_EQ(admission.outcome, takt_admission::TAKT_ACCEPTED);
  EXPECT_EQ(admission.bound_ns, 30'000'000);
  EXPECT_STREQ(admission.subnet, "0.5");
  EXPECT_STREQ(admission.accelerator, "cpu0");

  const wire::OpenStream asked = s.daemon.stream(100).asked;
  EXPECT_EQ(asked.model, 7U);
  EXPECT_EQ(asked.form, 0);  // the smallest nv12 form that covers the picture
  EXPECT_EQ(asked.criticality, 0);
  EXPECT_EQ(asked.period_ns, 33'000'000);
}

TEST(OpeningAStream, OpensNothingIfItIsRefused) {
  Session s;
  s.daemon.rules.refuse_stream = [](const wire::OpenStream&) { return true; };
  s.connect();
  const takt_stream_config config = Session::picture_config();
  takt_stream* stream = nullptr;
  takt_admission admission{};
  EXPECT_EQ(takt_stream_open(s.client, &config, &stream, &admission), TAKT_E_NOT_ADMITTED);
  EXPECT_EQ(stream, nullptr);
  EXPECT_EQ(admission.outcome, takt_admission::TAKT_REFUSED);
  EXPECT_EQ(admission.reason, takt_admission::TAKT_REASON_UTILISATION);
  EXPECT_EQ(admission.feasible_period_ns, 50'000'000);
  EXPECT_NE(std::strstr(takt_last_error(s.client), "50.000 ms"), nullptr) << takt_last_error(s.client);
  EXPECT_EQ(s.daemon.count(wire::Op::create_pool), 0U);
}

struct BadConfig {
  const char* why;
  void (*spoil)(takt_stream_config&);
  int error;
};

TEST(OpeningAStream, SaysWhatIsWrongWithAConfiguration) {
  const BadConfig bad[] = {
      {"a model", [](takt_stream_config& c) { c.model = nullptr; }, TAKT_E_INVALID},
      {"no model nothing", [](takt_stream_config& c) { c.model = "nothing"; }, TAKT_E_NOT_FOUND},
      {"set picture", [](takt_stream_config& c) { c.picture = TAKT_PICTURE_NONE; }, TAKT_E_INVALID},
      {"at most nv12 1280x720", [](takt_stream_config& c) { c.width = 1920; }, TAKT_E_INVALID},
      {"takes no gray", [](takt_stream_config& c) { c.picture = TAKT_GRAY; }, TAKT_E_INVALID},
      {"odd-sized", [](takt_stream_config& c) { c.width = 63; }, TAKT_E_INVALID},
      {"1 to 64 slots", [](takt_stream_config& c) { c.slots = 65; }, TAKT_E_INVALID},
      {"no such class", [](takt_stream_config& c) { c.criticality = static_cast<takt_class>(3); }, TAKT_E_INVALID},
      {"no such picture", [](takt_stream_config& c) { c.picture = static_cast<takt_picture>(7); }, TAKT_E_INVALID},
      {"struct_size", [](takt_stream_config& c) { c.struct_size = 4; }, TAKT_E_INVALID},
      {"no such preset", [](takt_stream_config& c) { c.preset = "nothing"; }, TAKT_E_NOT_FOUND},
  };
  Session s;
  s.connect();
  for (const BadConfig& b : bad) {
    takt_stream_config config = Session::picture_config();
    b.spoil(config);
    takt_stream* stream = nullptr;
    EXPECT_EQ(takt_stream_open(s.client, &config, &stream, nullptr), b.error) << b.why;
    EXPECT_NE(std::strstr(takt_last_error(s.client), b.why), nullptr) << b.why << ": " << takt_last_error(s.client);
    EXPECT_EQ(stream, nullptr);
  }
}

TEST(OpeningAStream, LearnsFromAPresetWhatItTakes) {
  Session s;
  wire::set_text(s.daemon.rules.preset, "front camera");
  s.connect();
  takt_stream_config config;
  takt_stream_config_init(&config);
  config.preset = "front camera";
  takt_stream* stream = s.open(config);
  takt_frame* frame = nullptr;
  ASSERT_EQ(takt_frame_begin(stream, &frame), TAKT_OK);
  std::size_t bytes = 0;
  EXPECT_NE(takt_frame_input(frame, 0, &bytes), nullptr);
  EXPECT_EQ(bytes, 1280U * 720U * 3U / 2U);
  EXPECT_STREQ(takt_stream_model(stream), "slim_resnet");
  takt_tensor input{};
  ASSERT_EQ(takt_stream_input(stream, 0, &input), TAKT_OK);
  EXPECT_EQ(input.picture, TAKT_NV12);
  EXPECT_EQ(input.dims[1], 1280U);
  EXPECT_EQ(takt_stream_input(stream, 1, &input), TAKT_E_NOT_FOUND);
}

TEST(OpeningAStream, GivesEverySlotItsOwnAlignedRoom) {
  Session s;
  s.connect();
  takt_stream_config config = Session::picture_config();
  config.slots = 3;
  takt_stream* stream = s.open(config);
  std::byte* last = nullptr;
  for (int i = 0; i < 3; ++i) {
    takt_frame* frame = nullptr;
    ASSERT_EQ(takt_frame_begin(stream, &frame), TAKT_OK);
    std::size_t bytes = 0;
    auto* room = static_cast<std::byte*>(takt_frame_input(frame, 0, &bytes));
    EXPECT_EQ(bytes, 64U * 48U * 3U / 2U);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(room) % 4096, 0U);
    if (last != nullptr) {
      EXPECT_GE(room - last, static_cast<std::ptrdiff_t>(bytes));
    }
    std::memset(room, i, bytes);
    last = room;
    EXPECT_EQ(takt_frame_input(frame, 1, &bytes), nullptr);
    EXPECT_EQ(bytes, 0U);
  }
  takt_frame* frame = nullptr;
  EXPECT_EQ(takt_frame_begin(stream, &frame), TAKT_E_NO_CREDIT);
  EXPECT_EQ(frame, nullptr);
}

TEST(OpeningAStream, RespectsTheLimitOfAPool) {
  Session s;
  s.daemon.rules.max_pool_bytes = 8192;
  s.connect();
  const takt_stream_config config = Session::picture_config();
  takt_stream* stream = nullptr;
  EXPECT_EQ(takt_stream_open(s.client, &config, &stream, nullptr), TAKT_E_LIMIT) << takt_last_error(s.client);
  EXPECT_EQ(s.daemon.count(wire::Op::close_stream), 1U);  // nothing stays behind
}

TEST(UpdatingAStream, KeepsTheOldOneIfItIsRefused) {
  Session s;
  s.daemon.rules.refuse_stream = [](const wire::OpenStream& m) { return m.period_ns == 1'000'000; };
  s.connect();
  takt_stream* stream = s.open();
  takt_stream_config config = Session::picture_config();
  config.period_ns = 20'000'000;
  takt_admission admission{};
  EXPECT_EQ(takt_stream_update(stream, &config, &admission), TAKT_OK) << takt_last_error(s.client);
  EXPECT_EQ(s.daemon.stream(100).asked.period_ns, 20'000'000);

  config.period_ns = 1'000'000;
  EXPECT_EQ(takt_stream_update(stream, &config, &admission), TAKT_E_NOT_ADMITTED);
  EXPECT_EQ(admission.outcome, takt_admission::TAKT_REFUSED);
  ASSERT_EQ(takt_stream_admission(stream, &admission), TAKT_OK);
  EXPECT_EQ(admission.outcome, takt_admission::TAKT_ACCEPTED);
}

TEST(AStream, TellsThatItLostItsGuarantee) {
  Session s;
  s.connect();
  takt_stream* stream = s.open();
  wire::StreamChanged changed;
  changed.stream = 100;
  s.daemon.send(wire::Op::stream_changed, changed);
  s.submit(stream, 1, 1);
  s.daemon.complete(s.daemon.frame());
  takt_answer answer = s.next();
  takt_admission admission{};
  EXPECT_EQ(takt_stream_admission(stream, &admission), TAKT_OK);
  EXPECT_EQ(admission.outcome, takt_admission::TAKT_REFUSED);
  EXPECT_EQ(admission.reason, takt_admission::TAKT_REASON_NO_ACCELERATOR);
  takt_answer_release(s.client, &answer);
}

TEST(ClosingAStream, LeavesItsAnswersReadableAndNameless) {
  Session s;
  s.connect();
  takt_stream* stream = s.open();
  int user = 0;
  takt_stream_set_user(stream, &user);
  EXPECT_EQ(takt_stream_user(stream), &user);
  const DaemonFrame first = s.submit(stream, 1, 1), second = s.submit(stream, 2, 2);
  s.daemon.complete(first);
  takt_answer done = s.next();
  takt_stream_close(stream);

  const void* data = nullptr;
  std::size_t bytes = 0;
  EXPECT_EQ(takt_answer_output(&done, 0, nullptr, &data, &bytes), TAKT_OK);
  EXPECT_EQ(static_cast<const float*>(data)[99], 99.0F);
  takt_answer_release(s.client, &done);

  wire::VerdictMessage cancelled = FakeDaemon::verdict_of(second);
  cancelled.verdict = TAKT_CANCELLED;
  s.daemon.send(wire::Op::verdict, cancelled);
  takt_answer answer = s.next();
  EXPECT_EQ(answer.tag, 2U);
  EXPECT_EQ(answer.verdict, TAKT_CANCELLED);
  EXPECT_EQ(answer.stream, nullptr);
  EXPECT_EQ(s.daemon.count(wire::Op::free_pool), 0U);
  takt_answer_release(s.client, &answer);
  s.daemon.wait_for(wire::Op::free_pool, 2);  // its memory goes with its last answer
}

TEST(ClosingAStream, TakesItsNameFromAnswersThatWait) {
  Session s;
  s.connect();
  takt_stream* stream = s.open();
  s.daemon.complete(s.submit(stream, 1, 1));
  while (takt_dispatch(s.client, 10'000) == 0) {
  }
  takt_stream_close(stream);
  takt_answer answer{};
  ASSERT_EQ(takt_next_answer(s.client, &answer), 1);
  EXPECT_EQ(answer.stream, nullptr);
  takt_answer_release(s.client, &answer);
}

}  // namespace
}  // namespace takt::test
