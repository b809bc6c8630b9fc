// A broker for tests of the client library: says what a broker says, answers frames only as it is told.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "wire/decode.hpp"

namespace takt::test {

struct DaemonPool {
  int fd = -1;
  std::byte* data = nullptr;
  std::uint64_t bytes = 0;
  wire::PoolKind kind = wire::PoolKind::frames;
};

struct DaemonStream {
  std::uint32_t model = 0;
  std::uint32_t parent = ~0U;
  std::uint64_t result_bytes = 0;
  wire::OpenStream asked;
};

struct DaemonFrame {
  wire::Submit submit;
  std::vector<TensorDesc> inputs;
};

// What the next daemon is like. Changed only while none runs.
struct DaemonRules {
  std::vector<wire::ModelInfo> models;
  wire::Name preset{};  // a stream preset: the first model with its first form
  std::uint32_t credits = 64;
  std::uint64_t max_pool_bytes = std::uint64_t{1} << 30;
  std::uint64_t features = wire::kFeatures;
  std::uint64_t generation = 1;  // counts up with every start
  bool refuse_imports = false;
  bool refuse_hello = false;
  bool turn_away = false;  // as soon as somebody comes, heard or not
  std::function<bool(const wire::OpenStream&)> refuse_stream;  // true: refused for utilisation
  bool answers_by_itself = false;  // every frame is done at once, see FakeDaemon::complete()
  bool silent = false;             // reads, and says nothing
};

// Serves one connection at a time on a thread of its own. What the client does wrong is kept in faults().
class FakeDaemon {
 public:
  explicit FakeDaemon(std::string path);
  ~FakeDaemon();
  FakeDaemon(const FakeDaemon&) = delete;
  FakeDaemon& operator=(const FakeDaemon&) = delete;

  DaemonRules rules;

  void start();
  void stop();     // like a killed broker: the socket's file stays, nothing listens
  void hang_up();  // ends the connection only
  void abandon();  // in a script: ends it after this message, however much is unread

  // Looks at every message before the daemon does; true: it was dealt with. Runs on the daemon's thread.
  std::function<bool(wire::Op, std::span<const std::byte>)> script;

  // Waits until so many frames were submitted on this connection; the last of them.
  [[nodiscard]] DaemonFrame frame(std::size_t number = 1);
  void wait_for_end();  // of the connection
  // Waits until so many messages of the kind came on this connection.
  void wait_for(wire::Op op, std::size_t count);
  [[nodiscard]] std::size_t count(wire::Op op);
  [[nodiscard]] std::vector<std::string> faults();
  [[nodiscard]] std::uint32_t free_credits();
  [[nodiscard]] DaemonPool pool(std::uint32_t id);
  [[nodiscard]] DaemonStream stream(std::uint32_t id);
  // The number of the n-th stream, from 1, that was opened on this connection.
  [[nodiscard]] std::uint32_t opened(std::size_t n);

  // A verdict that fits the frame: done, no result, all its credits.
  [[nodiscard]] static wire::VerdictMessage verdict_of(const DaemonFrame& frame);
  // Writes a result with one f32 output {sum of the first input's bytes, 1, 2, 3 ...} at an offset of the frame's area.
  void write_result(const DaemonFrame& frame, std::uint64_t offset = 0);
  // The same, and says done.
  void complete(const DaemonFrame& frame);
  // Where the result area of a frame begins.
  [[nodiscard]] std::byte* area(const DaemonFrame& frame);

  template <class T>
  void send(wire::Op op, T message, std::uint64_t request = 0, int fd = -1) {
    message.header.op = op;
    message.header.bytes = sizeof(T);
    message.header.request = request;
    if constexpr (std::is_same_v<T, wire::VerdictMessage>) owe(message.credits);
    send_raw(std::as_bytes(std::span(&message, 1)), fd);
  }
  void send_raw(std::span<const std::byte> packet, int fd = -1);

 private:
  void serve(int listener, int stop);
  bool take(int socket);
  void handle(wire::Op op, std::span<const std::byte> packet, std::uint64_t request, int fd);
  void open_stream(const wire::OpenStream& message, std::uint64_t request);
  void make_pool(const wire::CreatePool& message, std::uint64_t request, int fd);
  void take_frame(std::span<const std::byte> packet);
  void release(std::uint32_t count);
  void owe(std::uint32_t credits);
  void fault(const std::string& text);
  void forget();

  const std::string path_;
  std::thread thread_;
  int stop_ = -1;
  bool abandoned_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  int session_ = -1;
  std::uint64_t starts_ = 0;
  std::uint32_t next_id_ = 100;
  std::uint32_t credits_ = 0, owed_ = 0;
  std::map<wire::Op, std::size_t> seen_, handled_;
  std::map<std::uint32_t, DaemonPool> pools_;
  std::map<std::uint32_t, DaemonStream> streams_;
  std::vector<std::uint32_t> opened_;
  std::vector<DaemonFrame> frames_;
  std::vector<std::string> faults_;
};

// A model that takes pictures: nv12 up to 1280x720 or rgb up to 64x64; logits of 100 classes; a metric top1.
[[nodiscard]] wire::ModelInfo picture_model(const char* name, std::uint32_t number);
// A model that adds two tensors of four floats.
[[nodiscard]] wire::ModelInfo tensor_model(const char* name, std::uint32_t number);

}  // namespace takt::test
