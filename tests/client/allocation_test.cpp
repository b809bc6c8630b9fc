// The hot path of the client library: no allocation between two frames.
#include "client/session.hpp"
#include "support/allocation_counter.hpp"

namespace takt::test {
namespace {

TEST(TheHotPath, AllocatesNothing) {
  Session s;
  s.daemon.rules.answers_by_itself = true;
  s.connect();
  takt_stream* stream = s.open();
  const auto round = [&](std::uint64_t tag) {
    takt_frame* frame = nullptr;
    ASSERT_EQ(takt_frame_begin(stream, &frame), TAKT_OK);
    ASSERT_NE(takt_frame_input(frame, 0, nullptr), nullptr);
    ASSERT_EQ(takt_frame_submit(frame, tag, 0, takt_now_ns() + 1'000'000), TAKT_OK);
    while (takt_dispatch(s.client, 10'000) == 0) {
    }
    takt_answer answer{};
    ASSERT_EQ(takt_next_answer(s.client, &answer), 1);
    EXPECT_EQ(answer.tag, tag);
    const void* data = nullptr;
    EXPECT_EQ(takt_answer_output(&answer, 0, nullptr, &data, nullptr), TAKT_OK);
    takt_answer_release(s.client, &answer);
  };
  round(0);
  const std::uint64_t before = allocations_seen();
  {
    const WatchAllocations watch;
    for (std::uint64_t tag = 1; tag <= 500; ++tag) round(tag);
    takt_frame *frame = nullptr, *none = nullptr;
    for (int i = 0; i < 4; ++i) EXPECT_EQ(takt_frame_begin(stream, &frame), TAKT_OK);
    EXPECT_EQ(takt_frame_begin(stream, &none), TAKT_E_NO_CREDIT);
  }
  EXPECT_EQ(allocations_seen() - before, 0U);
  {
    const WatchAllocations watch;
    takt_stream_close(s.open());
  }
  EXPECT_GT(allocations_seen(), before);  // the count does count the library's
}

}  // namespace
}  // namespace takt::test
