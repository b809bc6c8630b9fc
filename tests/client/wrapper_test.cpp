// The C++ wrapper: handles end what they hold.
#include <cstring>

#include "client/session.hpp"
#include "takt/takt.hpp"

namespace takt::test {
namespace {

using namespace std::chrono_literals;

TEST(TheWrapper, StreamsFramesAndReleasesAnswers) {
  Session s;
  s.daemon.rules.answers_by_itself = true;
  s.daemon.start();
  auto client = client::Client::connect(s.path.c_str(), "wrapper");
  ASSERT_TRUE(client.has_value()) << takt_last_error(nullptr);
  takt_stream_config config = client::stream_config();
  config.model = "slim_resnet";
  config.picture = TAKT_NV12;
  config.width = config.height = 64;
  config.slots = 1;
  auto stream = client->open(config);
  ASSERT_TRUE(stream.has_value()) << client->last_error();
  for (std::uint64_t tag = 0; tag < 10; ++tag) {
    auto frame = stream->begin();
    ASSERT_TRUE(frame.has_value()) << client->last_error();
    EXPECT_FALSE(stream->begin().has_value());  // the only slot is out
    std::memset(frame->input().data(), 1, frame->input().size());
    ASSERT_EQ(frame->submit(tag), TAKT_OK);
    std::optional<client::Answer> answer;
    while (!answer) answer = client->next(10s);
    EXPECT_EQ((*answer)->tag, tag);
    const auto output = answer->output();
    ASSERT_TRUE(output.has_value());
    EXPECT_EQ(output->as<float>()[0], 64.0F * 64 * 3 / 2);
    EXPECT_FALSE(answer->output(1).has_value());
  }
  { auto discarded = stream->begin(); }
  EXPECT_TRUE(stream->begin().has_value());
}

TEST(TheWrapper, GivesNothingWithoutABroker) {
  EXPECT_FALSE(client::Client::connect("no-such-socket").has_value());
}

}  // namespace
}  // namespace takt::test
