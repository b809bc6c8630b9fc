// Connecting: what is told of the broker, and what is said when it cannot be.
#include <bit>

#include "client/session.hpp"

namespace takt::test {
namespace {

TEST(Connecting, TellsTheModelsAndTheGeneration) {
  Session s;
  s.connect();
  EXPECT_EQ(takt_is_connected(s.client), 1);
  EXPECT_EQ(takt_generation(s.client), 1U);
  ASSERT_EQ(takt_model_count(s.client), 2);

  takt_model_info info;
  ASSERT_EQ(takt_model(s.client, 0, &info), TAKT_OK);
  EXPECT_STREQ(info.name, "slim_resnet");
  EXPECT_STREQ(info.input_name[0], "image");
  EXPECT_STREQ(info.output_name[0], "logits");
  EXPECT_STREQ(info.metric_name[0], "top1");
  EXPECT_EQ(info.input[0].picture, TAKT_NV12);  // the largest form
  EXPECT_EQ(info.input[0].dims[0], 720U);
  EXPECT_EQ(info.input[0].dims[1], 1280U);
  EXPECT_EQ(info.output[0].dtype, TAKT_F32);
  EXPECT_EQ(info.output[0].dims[0], 100U);
  EXPECT_EQ(takt_model(s.client, 2, &info), TAKT_E_NOT_FOUND);
}

TEST(Connecting, SaysWhatToDoIfNobodyListens) {
  takt_client* client = nullptr;
  EXPECT_EQ(takt_connect("no-such-socket", nullptr, &client), TAKT_E_DISCONNECTED);
  EXPECT_EQ(client, nullptr);
  EXPECT_NE(std::string(takt_last_error(nullptr)).find("start taktd"), std::string::npos) << takt_last_error(nullptr);
}

TEST(Connecting, TakesThePathFromTheEnvironment) {
  Session s;
  s.daemon.start();
  ::setenv("TAKT_SOCKET", s.path.c_str(), 1);
  EXPECT_EQ(takt_connect(nullptr, "name\nwith a control character", &s.client), TAKT_OK) << takt_last_error(nullptr);
  ::unsetenv("TAKT_SOCKET");
}

TEST(Connecting, GivesTheBrokersReasonForARefusal) {
  Session s;
  s.daemon.rules.refuse_hello = true;
  s.daemon.start();
  EXPECT_EQ(takt_connect(s.path.c_str(), "test", &s.client), TAKT_E_DENIED);
  EXPECT_STREQ(takt_last_error(nullptr), "the broker says: not you");
}

// Whether the greeting still went out is a race; the reason must come through either way.
TEST(Connecting, GivesTheReasonOfABrokerThatTurnsItAwayUnheard) {
  Session s;
  s.daemon.rules.turn_away = true;
  s.daemon.start();
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(takt_connect(s.path.c_str(), "test", &s.client), TAKT_E_LIMIT) << takt_last_error(nullptr);
    ASSERT_STREQ(takt_last_error(nullptr), "the broker says: full");
  }
}

TEST(Connecting, RefusesABrokerOfAnotherMajorVersion) {
  Session s;
  s.daemon.script = [&](wire::Op op, std::span<const std::byte>) {
    wire::Welcome welcome;
    welcome.header.major = wire::kMajor + 1;
    welcome.credits = 64;
    if (op == wire::Op::hello) s.daemon.send(wire::Op::welcome, welcome, 1);
    return op == wire::Op::hello;
  };
  s.daemon.start();
  EXPECT_EQ(takt_connect(s.path.c_str(), "test", &s.client), TAKT_E_UNSUPPORTED) << takt_last_error(nullptr);
}

TEST(Connecting, SurvivesWrongArguments) {
  EXPECT_EQ(takt_connect("no-such-socket", "test", nullptr), TAKT_E_INVALID);
  EXPECT_EQ(takt_dispatch(nullptr, 0), TAKT_E_INVALID);
  EXPECT_EQ(takt_is_connected(nullptr), 0);
  EXPECT_STREQ(takt_error_name(TAKT_E_NO_CREDIT), "no credit");
  EXPECT_STREQ(takt_error_name(-99), "unknown");
  EXPECT_STREQ(takt_verdict_name(TAKT_SUPERSEDED), "superseded");
  EXPECT_STREQ(takt_verdict_name(std::bit_cast<takt_verdict>(99)), "unknown");
  takt_disconnect(nullptr);
  takt_answer_release(nullptr, nullptr);
}

}  // namespace
}  // namespace takt::test
