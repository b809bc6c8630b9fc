// A fake broker and a client connected to it, for the tests of the client library.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "support/fake_daemon.hpp"
#include "takt/takt.h"

namespace takt::test {

inline std::string fresh_path() {
  static int number = 0;
  return ::testing::TempDir() + "takt-client-test-" + std::to_string(::getpid()) + "-" + std::to_string(++number) +
         ".sock";
}

// Whatever the test does, the broker must have nothing to complain about when it ends.
class Session {
 public:
  std::string path = fresh_path();
  FakeDaemon daemon{path};
  takt_client* client = nullptr;

  Session() { daemon.rules.models = {picture_model("slim_resnet", 7), tensor_model("adder", 9)}; }
  ~Session() {
    takt_disconnect(client);
    daemon.stop();
    EXPECT_EQ(daemon.faults(), std::vector<std::string>{});
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void connect() {
    daemon.start();
    ASSERT_EQ(takt_connect(path.c_str(), "test", &client), TAKT_OK) << takt_last_error(nullptr);
  }

  static takt_stream_config picture_config(const char* model = "slim_resnet") {
    takt_stream_config config;
    takt_stream_config_init(&config);
    config.model = model;
    config.picture = TAKT_NV12;
    config.width = 64;
    config.height = 48;
    return config;
  }
  takt_stream* open(const takt_stream_config& config = picture_config()) {
    takt_stream* stream = nullptr;
    EXPECT_EQ(takt_stream_open(client, &config, &stream, nullptr), TAKT_OK) << takt_last_error(client);
    return stream;
  }
  takt_stream* open_child(takt_stream* parent) {
    takt_stream_config config = picture_config();
    config.picture = TAKT_PICTURE_NONE;
    config.parent = parent;
    config.trigger_metric = "top1";
    config.trigger_less = 1;
    config.trigger_threshold = 0.6F;
    return open(config);
  }
  // Submits a frame and gives what the broker saw of it.
  DaemonFrame submit(takt_stream* stream, std::uint64_t tag, std::size_t number) {
    takt_frame* frame = nullptr;
    EXPECT_EQ(takt_frame_begin(stream, &frame), TAKT_OK) << takt_last_error(client);
    EXPECT_EQ(takt_frame_submit(frame, tag, 0, 0), TAKT_OK) << takt_last_error(client);
    return daemon.frame(number);
  }
  // The next answer, waited for; a default one if the connection changed instead.
  takt_answer next() {
    takt_answer answer{};
    for (int i = 0; i < 1000 && takt_next_answer(client, &answer) == 0; ++i) takt_dispatch(client, 10'000);
    return answer;
  }
  void reconnect() {
    for (int i = 0; i < 1000 && takt_is_connected(client) == 0; ++i) takt_dispatch(client, 10'000);
    ASSERT_EQ(takt_is_connected(client), 1);
  }
  // Until the client has noticed that the broker is gone.
  void notice_loss() {
    for (int i = 0; i < 1000 && takt_is_connected(client) != 0; ++i) takt_dispatch(client, 10'000);
    ASSERT_EQ(takt_is_connected(client), 0);
  }
};

}  // namespace takt::test
