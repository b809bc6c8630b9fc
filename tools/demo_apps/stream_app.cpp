// takt-demo-stream: an example application. One stream, frames with a known answer at a fixed rate, one JSON line a
// frame.
#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <ctime>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "answer_log.hpp"
#include "pictures.hpp"
#include "takt/takt.h"

namespace demo {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kGraceNs = 5 * kSecond;      // for answers after the last frame
constexpr std::int64_t kPatienceNs = 60 * kSecond;  // for a broker with the model
constexpr int kTickMs = 100;                        // how often a quiet loop looks around

volatile std::sig_atomic_t stop_asked = 0;

struct Options {
  std::string socket, model = "slim_resnet", name = "stream", sample, out;
  takt_picture picture = TAKT_RGB;
  std::uint32_t width = kSide, height = kSide, slots = 4;
  takt_class criticality = TAKT_SOFT;
  takt_late_rule late = TAKT_LATE_ABORT;
  double fps = 30, seconds = 10, deadline_ms = 33, jitter_ms = 0, period_ms = 0;
  float accuracy_floor = 0, accuracy_ceiling = 1;
  bool wait_for_start = false;
  std::size_t first_image = 0;
};

std::int64_t to_ns(double ms) {
  return std::llround(ms * 1e6);
}

// Sleeps until an absolute instant of CLOCK_MONOTONIC; a signal ends it early.
void sleep_until(std::int64_t ns) {
  const timespec at{ns / kSecond, ns % kSecond};
  while (!stop_asked && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr) == EINTR) continue;
}

// An alarm at an absolute instant that poll() can wait for together with the library's descriptor.
class Alarm {
 public:
  Alarm() : fd_(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {}
  ~Alarm() { close(fd_); }
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;
  [[nodiscard]] int fd() const { return fd_; }
  void set(std::int64_t ns) const {
    const itimerspec at{{0, 0}, {ns / kSecond, ns % kSecond}};
    timerfd_settime(fd_, TFD_TIMER_ABSTIME, &at, nullptr);
  }

 private:
  int fd_;
};

struct Disconnect {
  void operator()(takt_client* client) const { takt_disconnect(client); }
};
using Client = std::unique_ptr<takt_client, Disconnect>;

int largest(const takt_answer& answer) {
  const void* data = nullptr;
  std::size_t bytes = 0;
  takt_tensor tensor;
  if (!answer.has_result || takt_answer_output(&answer, 0, &tensor, &data, &bytes) != TAKT_OK) return -1;
  const auto* logits = static_cast<const float*>(data);
  return static_cast<int>(std::max_element(logits, logits + bytes / sizeof(float)) - logits);
}

// Hands in frames when they are due whatever became of those before: an open loop. Takes in answers in between. Without
// a stream (it was not admitted) every frame counts as refused.
class Generator {
 public:
  Generator(const Options& options, const SampleFile& sample, takt_client* client, takt_stream* stream, AnswerLog& log)
      : o_(options),
        sample_(sample),
        client_(client),
        stream_(stream),
        log_(log),
        generation_(takt_generation(client)) {}

  // `start_ns`: when the first frame is due.
  void run(std::int64_t start_ns) {
    const auto frames = static_cast<std::uint64_t>(std::floor(o_.seconds * o_.fps));
    for (std::uint64_t tag = 0; tag < frames && !stop_asked; ++tag) {
      const std::int64_t due = start_ns + std::llround(static_cast<double>(tag) * 1e9 / o_.fps);
      wait_until(due);
      submit(tag, due);
    }
    const std::int64_t give_up = takt_now_ns() + kGraceNs;
    while (!waiting_.empty() && takt_now_ns() < give_up) turn(give_up);
    for (const auto& [tag, note] : waiting_) log_.without_answer(note, "unanswered");
    log_.closed(reconnects_, longest_gap_);
    std::printf("%s: %llu frames, %llu done\n", o_.name.c_str(), static_cast<unsigned long long>(submitted_),
                static_cast<unsigned long long>(done_));
  }

 private:
  void wait_until(std::int64_t due) {
    while (!stop_asked && takt_now_ns() < due) turn(due);
  }

  void submit(std::uint64_t tag, std::int64_t due) {
    const std::size_t image = (o_.first_image + tag) % sample_.size();
    FrameNote note{tag, image, sample_.label(image), due, takt_now_ns()};
    ++submitted_;
    takt_frame* frame = nullptr;
    int status = stream_ != nullptr ? takt_frame_begin(stream_, &frame) : TAKT_E_NOT_ADMITTED;
    if (status == TAKT_OK) {
      std::size_t room = 0;
      auto* pixels = static_cast<std::uint8_t*>(takt_frame_input(frame, 0, &room));
      draw(sample_.pixels(image), o_.picture, o_.width, o_.height, {pixels, room});
      note.submitted_ns = takt_now_ns();
      status = takt_frame_submit(frame, tag, due, 0);
      if (status != TAKT_OK) takt_frame_discard(frame);
    }
    if (status == TAKT_OK) {
      waiting_.emplace(tag, note);
    } else {
      log_.without_answer(note, status == TAKT_E_NO_CREDIT      ? "no_credit"
                                : status == TAKT_E_DISCONNECTED ? "disconnected"
                                                                : "refused");
    }
  }

  // Sleeps until `until` or until something came, then takes it in.
  void turn(std::int64_t until) {
    alarm_.set(until);
    pollfd fds[] = {{alarm_.fd(), POLLIN, 0}, {takt_fd(client_), POLLIN, 0}};
    poll(fds, 2, kTickMs);
    takt_dispatch(client_, 0);
    watch_connection();
    takt_answer answer;
    while (takt_next_answer(client_, &answer) == 1)
      if (!answer.is_notice) take(answer);
  }

  void take(takt_answer& answer) {
    const auto found = waiting_.find(answer.tag);
    if (found == waiting_.end()) {
      log_.stray(answer.tag, answer.verdict);
    } else {
      done_ += answer.verdict == TAKT_DONE;
      log_.answered(found->second, answer, largest(answer), takt_now_ns() - found->second.submitted_ns);
      waiting_.erase(found);
    }
    takt_answer_release(client_, &answer);
  }

  void watch_connection() {
    const std::int64_t now = takt_now_ns();
    if (!takt_is_connected(client_)) {
      if (lost_at_ == 0) lost_at_ = now;
      return;
    }
    if (lost_at_ > 0) longest_gap_ = std::max(longest_gap_, now - lost_at_);
    lost_at_ = 0;
    reconnects_ += takt_generation(client_) != generation_;
    generation_ = takt_generation(client_);
  }

  const Options& o_;
  const SampleFile& sample_;
  takt_client* client_;
  takt_stream* stream_;
  AnswerLog& log_;
  Alarm alarm_;
  std::map<std::uint64_t, FrameNote> waiting_;
  std::uint64_t generation_, reconnects_ = 0, submitted_ = 0, done_ = 0;
  std::int64_t lost_at_ = 0, longest_gap_ = 0;
};

// A connection to a broker that has the model loaded; null if there is none at the moment.
Client connect(const Options& o) {
  takt_client* raw = nullptr;
  const int status = takt_connect(o.socket.empty() ? nullptr : o.socket.c_str(), o.name.c_str(), &raw);
  Client client(status == TAKT_OK ? raw : nullptr);
  for (int i = 0; client && i < takt_model_count(client.get()); ++i) {
    takt_model_info info;
    if (takt_model(client.get(), i, &info) == TAKT_OK && info.name == o.model && info.ready) return client;
  }
  return nullptr;
}

takt_stream_config stream_config(const Options& o) {
  takt_stream_config config;
  takt_stream_config_init(&config);
  config.model = o.model.c_str();
  config.name = o.name.c_str();
  config.picture = o.picture;
  config.width = o.width;
  config.height = o.height;
  config.criticality = o.criticality;
  config.late = o.late;
  config.period_ns = o.period_ms > 0 ? to_ns(o.period_ms) : std::llround(1e9 / o.fps);
  config.jitter_ns = to_ns(o.jitter_ms);
  config.relative_deadline_ns = to_ns(o.deadline_ms);
  config.accuracy_floor = o.accuracy_floor;
  config.accuracy_ceiling = o.accuracy_ceiling;
  config.slots = o.slots;
  return config;
}

// Connects and opens the stream, again until kPatienceNs if there is no broker. A stream that is not admitted stays
// null.
bool open_stream(const Options& o, AnswerLog& log, Client& client, takt_stream*& stream) {
  const takt_stream_config config = stream_config(o);
  takt_admission admission{};
  int status = TAKT_E_DISCONNECTED;
  for (const std::int64_t give_up = takt_now_ns() + kPatienceNs; !stop_asked && takt_now_ns() < give_up;) {
    client = connect(o);
    status = client ? takt_stream_open(client.get(), &config, &stream, &admission) : TAKT_E_DISCONNECTED;
    if (status != TAKT_E_DISCONNECTED) break;
    sleep_until(takt_now_ns() + kSecond / 10);
  }
  if (status != TAKT_OK)
    std::fprintf(stderr, "%s: %s: %s\n", o.name.c_str(), takt_error_name(status),
                 client ? takt_last_error(client.get()) : "no broker with the model became ready");
  if (status != TAKT_OK && status != TAKT_E_NOT_ADMITTED) return false;
  log.opened(config, o.fps, admission);
  return true;
}

std::int64_t read_start() {
  long long ns = 0;
  return std::scanf("%lld", &ns) == 1 ? ns : takt_now_ns();
}

int run(const Options& o) {
  std::string error;
  const SampleFile sample = SampleFile::read(o.sample, error);
  const auto log = AnswerLog::create(o.out);
  if (!error.empty() || !log) {
    std::fprintf(stderr, "%s: %s\n", o.name.c_str(), error.empty() ? "cannot write the output file" : error.c_str());
    return 66;
  }
  Client client;
  takt_stream* stream = nullptr;
  if (!open_stream(o, *log, client, stream)) return 69;
  Generator(o, sample, client.get(), stream, *log).run(o.wait_for_start ? read_start() : takt_now_ns());
  if (stream != nullptr) takt_stream_close(stream);
  return 0;
}

const std::map<std::string, takt_class> kClasses{{"hard", TAKT_HARD}, {"firm", TAKT_FIRM}, {"soft", TAKT_SOFT}};
const std::map<std::string, takt_late_rule> kLateRules{{"abort", TAKT_LATE_ABORT}, {"finish", TAKT_LATE_FINISH}};
const std::map<std::string, takt_picture> kPictures{{"rgb", TAKT_RGB}, {"nv12", TAKT_NV12}};

void add_options(CLI::App& app, Options& o) {
  app.add_option("--socket", o.socket, "the broker's socket; default $TAKT_SOCKET, else /run/takt/takt.sock");
  app.add_option("--model", o.model, "model to run")->capture_default_str();
  app.add_option("--name", o.name, "name of the stream")->capture_default_str();
  app.add_option("--sample", o.sample, "file of CIFAR-100 records")->required();
  app.add_option("--out", o.out, "JSON lines, one a frame")->required();
  app.add_option("--picture", o.picture, "rgb or nv12")->transform(CLI::CheckedTransformer(kPictures));
  app.add_option("--width", o.width)->capture_default_str();
  app.add_option("--height", o.height)->capture_default_str();
  app.add_option("--class", o.criticality, "hard, firm or soft")->transform(CLI::CheckedTransformer(kClasses));
  app.add_option("--late", o.late, "abort or finish")->transform(CLI::CheckedTransformer(kLateRules));
  app.add_option("--fps", o.fps, "frames a second")->check(CLI::Range(0.1, 10000.0))->capture_default_str();
  app.add_option("--seconds", o.seconds)->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--deadline-ms", o.deadline_ms, "from the submit")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--period-ms", o.period_ms, "least time between frames that is declared; default 1000 / fps");
  app.add_option("--jitter-ms", o.jitter_ms, "how late a frame may come")->capture_default_str();
  app.add_option("--accuracy-floor", o.accuracy_floor, "least accuracy of a subnet")->capture_default_str();
  app.add_option("--accuracy-ceiling", o.accuracy_ceiling, "most accuracy worth paying for")->capture_default_str();
  app.add_option("--slots", o.slots, "frames in flight at most")->capture_default_str();
  app.add_flag("--wait", o.wait_for_start, "read when to begin, ns on CLOCK_MONOTONIC, from standard input");
  app.add_option("--first-image", o.first_image, "where in the sample to begin")->capture_default_str();
}

int main_of(int argc, char** argv) {
  Options options;
  CLI::App app("An example application of takt: one stream of frames at a fixed rate, open loop.");
  add_options(app, options);
  CLI11_PARSE(app, argc, argv);
  if (!can_draw(options.picture, options.width, options.height)) {
    std::fprintf(stderr, "--picture: rgb is 32x32; nv12 has even sides, is not upright and at least 64 high\n");
    return 64;
  }
  struct sigaction action {};
  action.sa_handler = [](int) { stop_asked = 1; };
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  return run(options);
}

}  // namespace
}  // namespace demo

int main(int argc, char** argv) {
  return demo::main_of(argc, argv);
}
