// The fake broker's side of the conversation.
#include "support/fake_daemon.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <numeric>
#include <utility>

namespace takt::test {
namespace {

constexpr auto kPatience = std::chrono::seconds(20);  // a test that waits longer has failed

int listen_at(const std::string& path) {
  ::unlink(path.c_str());
  const int fd = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  TAKT_CHECK(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  TAKT_CHECK(::listen(fd, 8) == 0);
  return fd;
}

wire::Failure failure(Code code, const char* text) {
  wire::Failure m;
  m.code = static_cast<std::int32_t>(code);
  wire::set_text(m.text, text);
  return m;
}

}  // namespace

FakeDaemon::FakeDaemon(std::string path) : path_(std::move(path)) {}

FakeDaemon::~FakeDaemon() {
  stop();
  ::unlink(path_.c_str());
}

void FakeDaemon::start() {
  const int listener = listen_at(path_);
  stop_ = ::eventfd(0, EFD_CLOEXEC);
  ++starts_;
  thread_ = std::thread([this, listener] { serve(listener, stop_); });
}

void FakeDaemon::stop() {
  if (!thread_.joinable()) return;
  ::eventfd_write(stop_, 1);
  thread_.join();
  ::close(std::exchange(stop_, -1));
  forget();
}

void FakeDaemon::hang_up() {
  const std::lock_guard lock(mutex_);
  if (session_ >= 0) ::shutdown(session_, SHUT_RDWR);
}

void FakeDaemon::abandon() {
  abandoned_ = true;
}

void FakeDaemon::forget() {
  const std::lock_guard lock(mutex_);
  if (session_ >= 0) ::close(std::exchange(session_, -1));
  for (auto& [id, pool] : pools_) {
    ::munmap(pool.data, pool.bytes);
    ::close(pool.fd);
  }
  pools_.clear();
  streams_.clear();
  frames_.clear();
  opened_.clear();
  seen_.clear();
  handled_.clear();
  owed_ = 0;
  changed_.notify_all();
}

void FakeDaemon::serve(int listener, int stop) {
  for (;;) {
    std::array<pollfd, 3> fds{{{stop, POLLIN, 0}, {listener, POLLIN, 0}, {session_, POLLIN, 0}}};
    ::poll(fds.data(), fds.size(), -1);
    if (fds[0].revents != 0) break;
    if (fds[2].revents != 0 && (!take(session_) || std::exchange(abandoned_, false))) forget();
    if (fds[1].revents != 0 && session_ < 0) {
      {
        const std::lock_guard lock(mutex_);
        session_ = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        credits_ = rules.credits;
      }
      if (rules.turn_away) {
        wire::Failure full;
        full.code = static_cast<std::int32_t>(Code::no_capacity);
        wire::set_text(full.text, "full");
        send(wire::Op::failure, full);
        forget();
      }
    }
  }
  ::close(listener);
}

// One message; false when the client is gone.
bool FakeDaemon::take(int socket) {
  alignas(8) std::array<std::byte, wire::kMaxMessage> buffer;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  iovec part{buffer.data(), buffer.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (n <= 0) return false;
  int fd = -1;
  if (const cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr) std::memcpy(&fd, CMSG_DATA(c), sizeof(fd));
  const std::span<const std::byte> packet(buffer.data(), static_cast<std::size_t>(n));
  const auto op = wire::check_header(packet);
  if (!op) {
    fault(op.error().text);
    return false;
  }
  wire::Header header;
  std::memcpy(&header, packet.data(), sizeof header);
  {
    const std::lock_guard lock(mutex_);
    ++seen_[*op];
  }
  if ((!script || !script(*op, packet)) && !rules.silent) handle(*op, packet, header.request, fd);
  const std::lock_guard lock(mutex_);
  ++handled_[*op];
  changed_.notify_all();
  return true;
}

void FakeDaemon::handle(wire::Op op, std::span<const std::byte> packet, std::uint64_t request, int fd) {
  const auto with = [&]<class T>(T*, auto use) {
    const auto m = wire::decode<T>(packet);
    m ? use(*m) : fault(m.error().text);
  };
  switch (op) {
    case wire::Op::hello:
      with(static_cast<wire::Hello*>(nullptr), [&](const wire::Hello& m) {
        if (rules.refuse_hello) return send(wire::Op::failure, failure(Code::no_permission, "not you"), request);
        wire::Welcome w;
        w.credits = rules.credits;
        w.max_streams = w.max_pools = 64;
        w.features = rules.features & m.features;
        w.generation = rules.generation + starts_ - 1;
        w.max_pool_bytes = rules.max_pool_bytes;
        w.now_ns = m.now_ns;
        send(wire::Op::welcome, w, request);
      });
      return;
    case wire::Op::list_models:
      for (const wire::ModelInfo& model : rules.models) send(wire::Op::model_info, model, request);
      return send(wire::Op::done, wire::Done{}, request);
    case wire::Op::open_stream:
    case wire::Op::update_stream:
      with(static_cast<wire::OpenStream*>(nullptr), [&](const auto& m) { open_stream(m, request); });
      return;
    case wire::Op::close_stream:
      with(static_cast<wire::CloseStream*>(nullptr), [&](const auto& m) {
        const std::lock_guard lock(mutex_);
        if (streams_.erase(m.stream) == 0) faults_.emplace_back("closed a stream that is not open");
      });
      return send(wire::Op::done, wire::Done{}, request);
    case wire::Op::create_pool:
    case wire::Op::import_pool:
      with(static_cast<wire::CreatePool*>(nullptr), [&](const auto& m) { make_pool(m, request, fd); });
      return;
    case wire::Op::free_pool:
      with(static_cast<wire::FreePool*>(nullptr), [&](const auto& m) {
        const std::lock_guard lock(mutex_);
        const auto at = pools_.find(m.pool);
        if (at == pools_.end()) return faults_.push_back("freed a pool that it has not");
        ::munmap(at->second.data, at->second.bytes);
        ::close(at->second.fd);
        pools_.erase(at);
      });
      return send(wire::Op::done, wire::Done{}, request);
    case wire::Op::submit: return take_frame(packet);
    case wire::Op::release_credit:
      with(static_cast<wire::ReleaseCredit*>(nullptr), [&](const auto& m) { release(m.count); });
      return;
    case wire::Op::cancel: return;
    default: return fault("a message that clients do not send");
  }
}

void FakeDaemon::open_stream(const wire::OpenStream& m, std::uint64_t request) {
  wire::StreamOpened answer;
  const bool preset = m.preset[0] != '\0';
  if (preset && m.preset != rules.preset)
    return send(wire::Op::failure, failure(Code::not_found, "no such preset"), request);
  const auto model = preset ? rules.models.begin()
                            : std::find_if(rules.models.begin(), rules.models.end(),
                                           [&](const wire::ModelInfo& i) { return i.model == m.model; });
  if (model == rules.models.end()) return send(wire::Op::failure, failure(Code::not_found, "no such model"), request);
  if (rules.refuse_stream && rules.refuse_stream(m)) {
    answer.outcome = 2;
    answer.reason = 1;
    answer.feasible_period_ns = 50'000'000;
    return send(wire::Op::stream_opened, answer, request);
  }
  answer.model = model->model;
  answer.form = preset ? 0 : m.form;
  answer.result_bytes = model->result_bytes;
  answer.bound_ns = m.relative_deadline_ns;
  wire::set_text(answer.subnet, "0.5");
  wire::set_text(answer.accelerator_name, "cpu0");
  {
    const std::lock_guard lock(mutex_);
    const bool update = m.stream != ~0U;
    if (update && !streams_.contains(m.stream)) faults_.emplace_back("updated a stream that is not open");
    answer.stream = update ? m.stream : next_id_++;
    if (!update) opened_.push_back(answer.stream);
    streams_[answer.stream] = {model->model, m.parent, model->result_bytes, m};
  }
  send(wire::Op::stream_opened, answer, request);
}

void FakeDaemon::make_pool(const wire::CreatePool& m, std::uint64_t request, int fd) {
  const bool imported = fd >= 0;
  if (imported && rules.refuse_imports) {
    ::close(fd);
    return send(wire::Op::failure, failure(Code::no_capacity, "no room for it"), request);
  }
  constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW;
  if (imported) {
    struct stat status {};
    ::fstat(fd, &status);
    if ((::fcntl(fd, F_GET_SEALS) & kSeals) != kSeals || static_cast<std::uint64_t>(status.st_size) < m.bytes)
      return fault("imported memory that is not sealed or too small");
  } else {
    fd = ::memfd_create("pool", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    TAKT_CHECK(::ftruncate(fd, static_cast<off_t>(m.bytes)) == 0);
    ::fcntl(fd, F_ADD_SEALS, kSeals);
  }
  DaemonPool pool{fd, nullptr, m.bytes, m.kind};
  pool.data = static_cast<std::byte*>(::mmap(nullptr, m.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  wire::PoolCreated answer;
  answer.bytes = m.bytes;
  {
    const std::lock_guard lock(mutex_);
    answer.pool = next_id_++;
    pools_[answer.pool] = pool;
  }
  send(wire::Op::pool_created, answer, request, imported ? -1 : fd);
}

void FakeDaemon::take_frame(std::span<const std::byte> packet) {
  std::array<TensorDesc, kMaxTensors> storage;
  const auto view = wire::decode_submit(packet, storage);
  if (!view) return fault(view.error().text);
  DaemonFrame frame{view->submit, {view->inputs.begin(), view->inputs.end()}};
  if (frame.submit.released > 0) release(frame.submit.released);
  {
    const std::lock_guard lock(mutex_);
    const std::uint32_t cost = 1 + frame.submit.children;
    if (credits_ < cost) return faults_.push_back("a frame without credit");
    credits_ -= cost;
    if (!streams_.contains(frame.submit.stream)) faults_.emplace_back("a frame of a stream that is not open");
    for (const TensorDesc& input : frame.inputs) {
      const auto pool = pools_.find(input.pool);
      if (pool == pools_.end() || !wire::check_tensor(input, pool->second.bytes))
        faults_.emplace_back("an input outside of its pool");
    }
    const auto results = pools_.find(frame.submit.result_pool);
    if (results == pools_.end() || frame.submit.result_offset % kResultAlignment != 0 ||
        frame.submit.result_offset + align_result(streams_[frame.submit.stream].result_bytes) > results->second.bytes)
      faults_.emplace_back("a result area outside of its pool");
    frames_.push_back(frame);
  }
  if (rules.answers_by_itself) complete(frame);
}

void FakeDaemon::release(std::uint32_t count) {
  const std::lock_guard lock(mutex_);
  if (count > owed_) return faults_.push_back("released more credits than verdicts gave");
  owed_ -= count;
  credits_ += count;
}

void FakeDaemon::owe(std::uint32_t credits) {
  const std::lock_guard lock(mutex_);
  owed_ += credits;
}

void FakeDaemon::fault(const std::string& text) {
  const std::lock_guard lock(mutex_);
  faults_.push_back(text);
}

DaemonFrame FakeDaemon::frame(std::size_t number) {
  std::unique_lock lock(mutex_);
  TAKT_CHECK(changed_.wait_for(lock, kPatience, [&] { return frames_.size() >= number; }));
  return frames_[number - 1];
}

void FakeDaemon::wait_for(wire::Op op, std::size_t count) {
  std::unique_lock lock(mutex_);
  TAKT_CHECK(changed_.wait_for(lock, kPatience, [&] { return handled_[op] >= count; }));
}

void FakeDaemon::wait_for_end() {
  std::unique_lock lock(mutex_);
  TAKT_CHECK(changed_.wait_for(lock, kPatience, [&] { return session_ < 0; }));
}

std::size_t FakeDaemon::count(wire::Op op) {
  const std::lock_guard lock(mutex_);
  return seen_[op];
}

std::vector<std::string> FakeDaemon::faults() {
  const std::lock_guard lock(mutex_);
  return faults_;
}

std::uint32_t FakeDaemon::free_credits() {
  const std::lock_guard lock(mutex_);
  return credits_;
}

DaemonPool FakeDaemon::pool(std::uint32_t id) {
  const std::lock_guard lock(mutex_);
  return pools_.at(id);
}

std::uint32_t FakeDaemon::opened(std::size_t n) {
  const std::lock_guard lock(mutex_);
  return opened_.at(n - 1);
}

DaemonStream FakeDaemon::stream(std::uint32_t id) {
  const std::lock_guard lock(mutex_);
  return streams_.at(id);
}

wire::VerdictMessage FakeDaemon::verdict_of(const DaemonFrame& frame) {
  wire::VerdictMessage m;
  m.stream = frame.submit.stream;
  m.tag = frame.submit.tag;
  m.credits = static_cast<std::uint8_t>(1 + frame.submit.children);
  m.result_offset = frame.submit.result_offset;
  m.deadline_ns = frame.submit.deadline_ns;
  wire::set_text(m.subnet_name, "0.5");
  return m;
}

std::byte* FakeDaemon::area(const DaemonFrame& frame) {
  return pool(frame.submit.result_pool).data + frame.submit.result_offset;
}

void FakeDaemon::write_result(const DaemonFrame& frame, std::uint64_t offset) {
  const DaemonPool frames = pool(frame.inputs.at(0).pool);
  const std::byte* input = frames.data + frame.inputs[0].offset;
  const double sum = std::accumulate(input, input + frame.inputs[0].bytes, 0.0,
                                     [](double s, std::byte b) { return s + std::to_integer<int>(b); });
  ResultHeader header;
  header.count = 1;
  header.tensors[0].dtype = DType::f32;
  header.tensors[0].rank = 1;
  header.tensors[0].dims[0] = 100;
  header.tensors[0].offset = align_result(sizeof(ResultHeader));
  header.tensors[0].bytes = 100 * sizeof(float);
  std::array<float, 100> logits;
  std::iota(logits.begin(), logits.end(), 0.0F);
  logits[0] = static_cast<float>(sum);
  std::memcpy(area(frame) + offset, &header, sizeof header);
  std::memcpy(area(frame) + offset + header.tensors[0].offset, logits.data(), sizeof logits);
}

void FakeDaemon::complete(const DaemonFrame& frame) {
  write_result(frame);
  wire::VerdictMessage m = verdict_of(frame);
  m.has_result = 1;
  send(wire::Op::verdict, m);
}

void FakeDaemon::send_raw(std::span<const std::byte> packet, int fd) {
  iovec part{const_cast<std::byte*>(packet.data()), packet.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(c), &fd, sizeof(fd));
  }
  const std::lock_guard lock(mutex_);
  if (session_ >= 0) (void)::sendmsg(session_, &message, MSG_NOSIGNAL);
}

wire::ModelInfo picture_model(const char* name, std::uint32_t number) {
  wire::ModelInfo m;
  m.model = number;
  m.inputs = m.outputs = m.metrics = m.ready = 1;
  m.forms = 2;
  m.subnets = 4;
  m.segments = 3;
  m.best_accuracy = 0.7F;
  m.least_accuracy = 0.5F;
  wire::set_text(m.name, name);
  wire::set_text(m.input[0].name, "image");
  wire::set_text(m.output[0].name, "logits");
  wire::set_text(m.metric[0], "top1");
  m.output[0].dtype = DType::f32;
  m.output[0].rank = 1;
  m.output[0].dims[0] = 100;
  m.form[0] = {PictureFormat::nv12, {}, 1280, 720};
  m.form[1] = {PictureFormat::rgb, {}, 64, 64};
  m.result_bytes = align_result(sizeof(ResultHeader)) + align_result(100 * sizeof(float));
  return m;
}

wire::ModelInfo tensor_model(const char* name, std::uint32_t number) {
  wire::ModelInfo m = picture_model(name, number);
  m.forms = 0;
  m.inputs = 2;
  for (int i = 0; i < 2; ++i) {
    wire::WireTensorSpec& input = m.input[static_cast<std::size_t>(i)];
    wire::set_text(input.name, i == 0 ? "left" : "right");
    input.dtype = DType::f32;
    input.rank = 1;
    input.dims[0] = 4;
  }
  return m;
}

}  // namespace takt::test
