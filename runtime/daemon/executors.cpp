// Executors as the control thread sees them; see executors.hpp.
#include "daemon/executors.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <new>

#include "live/monotonic_clock.hpp"
#include "wire/decode.hpp"

namespace takt::daemon {
namespace {

using namespace std::chrono_literals;
constexpr Duration kAdoptionGrace = 250ms;   // an executor that outlived an older broker reconnects within it
constexpr Duration kAttachLimit = 60s;       // loading models may take long on a small machine
constexpr Duration kFirstDelay = 20ms;       // before a restart, doubled with each strike
constexpr std::uint32_t kQuarantine = 3;     // strikes in a row after which only an operator helps
constexpr Duration kProven = 2s;             // up for so long, an executor has no strikes left: it does not die of every job

template <class T>
[[nodiscard]] T request(wire::ExecutorOp op, std::uint32_t number = 0) {
  T m{};
  m.header = {.op = op, .bytes = sizeof m, .number = number};
  return m;
}

// Kills and waits for the end, which for a killed process takes milliseconds: only then may its jobs run elsewhere and its
// memory be used again.
void end_process(int pidfd) {
  if (pidfd < 0) return;
  constexpr int kLimitMs = 500;
  (void)::syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0);
  pollfd wait{.fd = pidfd, .events = POLLIN, .revents = 0};
  if (::poll(&wait, 1, kLimitMs) != 1) spdlog::critical("an executor did not end within {} ms of SIGKILL", kLimitMs);
}

// Another process holds the device's lock: an executor that we did not start lives.
bool lock_held(const std::string& path) {
  const live::FileDescriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  return fd.valid() && ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0;
}

}  // namespace

Executors::Executors(const files::Service& service, Programs programs, ExecutorShare share, live::EventLoop& loop,
                     std::uint64_t token_base)
    : service_(service), programs_(std::move(programs)), share_(std::move(share)), loop_(loop), token_base_(token_base),
      strangers_(64), devices_(service.config.devices.size()) {
  std::uint32_t first = 0;
  const Instant now = live::monotonic_now();
  generation_ = static_cast<std::uint64_t>(to_ns(now));
  for (std::size_t i = 0; i < devices_.size(); ++i) {
    devices_[i].config = &service.config.devices[i];
    devices_[i].first_accelerator = first;
    devices_[i].models.resize(service.models.size());
    devices_[i].next_start = now;
    first += static_cast<std::uint32_t>(service.config.devices[i].accelerators.size());
  }
}

Result<void> Executors::listen() {
  auto listener = live::Listener::bind(service_.config.runtime_directory / "exec.sock", 0600);
  if (!listener) return tl::unexpected(listener.error());
  listener_ = std::make_unique<live::Listener>(std::move(*listener));
  return loop_.add(listener_->fd(), token_base_ + kListener);
}

void Executors::handle(const live::Event& event) {
  const std::uint64_t t = event.token - token_base_;
  if (t == kListener) {
    accept();
  } else if (t >= kChild) {
    child_ended(devices_[t - kChild]);
  } else if (t >= kSocket) {
    receive(devices_[t - kSocket]);
  } else {
    greet(t - kStranger);
  }
}

void Executors::check(Instant now) {
  for (Device& d : devices_) {
    if (d.step == Step::connected && now >= d.kill_at) lost(d, "it did not become ready in time");
    if (d.step != Step::absent || now < d.next_start || quitting_) continue;
    if (d.config->executor == files::ExecutorStart::spawn && !d.child.running()) start(d, now);
  }
}

Instant Executors::next_check() const noexcept {
  Instant next = kNever;
  for (const Device& d : devices_) {
    if (d.step == Step::connected) next = std::min(next, d.kill_at);
    if (d.step == Step::absent && !d.child.running() && !quitting_ && d.config->executor == files::ExecutorStart::spawn)
      next = std::min(next, d.next_start);
  }
  return next;
}

void Executors::start(Device& d, Instant now) {
  const std::string directory = service_.config.runtime_directory;
  const std::string lock = directory + "/exec-" + d.config->name + ".lock";
  if (lock_held(lock)) {  // it will reconnect by itself; look again if it does not
    d.next_start = now + kAdoptionGrace;
    return;
  }
  live::ChildOptions options;
  options.program = programs_.executor;
  options.arguments = {"--device", d.config->name, "--socket", directory + "/exec.sock", "--driver", d.config->driver,
                       "--driver-dir", programs_.driver_dir, "--lock", lock};
  // libgomp must not spin, OpenBLAS must not bring a thread pool of its own, and the allocator must keep what it has:
  // page faults are the largest jitter of a segment.
  options.environment = {"OMP_WAIT_POLICY=PASSIVE", "OPENBLAS_NUM_THREADS=1", "OMP_NUM_THREADS=1",
                         "GLIBC_TUNABLES=glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=4294967296:glibc.malloc.top_pad=67108864"};
  auto child = live::ChildProcess::start(options);
  if (!child) {
    spdlog::error("executor {}: cannot start {}: {}", d.config->name, options.program, child.error().text);
    d.next_start = now + 1s;
    return;
  }
  d.child = std::move(*child);
  d.struck = false;
  (void)loop_.add(d.child.pidfd(), token_base_ + kChild + static_cast<std::uint64_t>(&d - devices_.data()));
  spdlog::info("executor {}: started as pid {}", d.config->name, d.child.pid());
}

void Executors::accept() {
  for (;;) {
    auto socket = listener_->accept();
    if (!socket || !socket->valid()) return;
    const auto free = std::find_if(strangers_.begin(), strangers_.end(), [](const auto& s) { return !s.valid(); });
    if (free == strangers_.end()) return;
    *free = std::move(*socket);
    (void)loop_.add(free->get(), token_base_ + kStranger + static_cast<std::uint64_t>(free - strangers_.begin()));
  }
}

// The first packet of a connection says which device it serves.
void Executors::greet(std::size_t stranger) {
  live::FileDescriptor socket = std::move(strangers_[stranger]);
  loop_.remove(socket.get());
  std::array<std::byte, wire::kMaxMessage> room;
  live::Packet p;
  wire::ExecutorHello hello;
  if (live::receive_packet(socket.get(), room, p) != live::Received::packet || p.bytes.size() != sizeof hello) return;
  std::copy(p.bytes.begin(), p.bytes.end(), reinterpret_cast<std::byte*>(&hello));
  if (hello.header.magic != wire::kMagic || hello.header.op != wire::ExecutorOp::hello || hello.header.major != wire::kExecutorMajor) return;
  for (Device& d : devices_) {
    if (d.config->name != wire::text_of(hello.device)) continue;
    if (d.step != Step::absent || d.config->driver != wire::text_of(hello.driver)) return;
    attach(d, std::move(socket));
    return;
  }
  spdlog::warn("an executor for unknown device '{}' was turned away", wire::text_of(hello.device));
}

void Executors::attach(Device& d, live::FileDescriptor socket) {
  auto memory = live::make_memory("takt-rings", sizeof(wire::ExecutorMemory));
  auto notifier = live::Notifier::make();
  if (!memory || !notifier) return;
  auto mapping = live::Mapping::map(memory->get(), sizeof(wire::ExecutorMemory), live::Access::read_write, live::Populate::eager);
  if (!mapping) return;
  auto* rings = new (mapping->data()) wire::ExecutorMemory{};
  rings->generation = ++generation_;
  rings->accelerators = static_cast<std::uint32_t>(d.config->accelerators.size());
  d.link = std::make_unique<ExecutorLink>();
  d.link->device = static_cast<std::uint32_t>(&d - devices_.data());
  d.link->first_accelerator = d.first_accelerator;
  d.link->accelerators = rings->accelerators;
  d.link->memory = std::move(*mapping);
  d.link->completions = std::move(*notifier);
  d.socket = std::move(socket);
  // By the kernel's word, not the executor's, and by descriptor: a number could name another process later.
  if (const auto peer = live::peer_credentials(d.socket.get()); peer)
    d.process.reset(static_cast<int>(::syscall(SYS_pidfd_open, peer->pid, 0)));
  d.step = Step::connected;
  d.struck = false;
  d.kill_at = live::monotonic_now() + kAttachLimit;
  (void)loop_.add(d.socket.get(), token_base_ + kSocket + d.link->device);
  auto m = request<wire::Attach>(wire::ExecutorOp::attach);
  m.generation = generation_;
  m.board_jobs = share_.board_jobs;
  m.slot_bytes = share_.slot_bytes;
  m.slots = share_.slot_count;
  const std::array<int, 4> fds{memory->get(), share_.board, share_.slots, d.link->completions.fd()};
  const auto sent = live::send_message(d.socket.get(), m, fds);
  if (!sent || !send_all(d)) lost(d, "its socket is full");
}

// Everything it must know before it may run: accelerators, models, pools. Each is answered by a Ready.
Result<void> Executors::send_all(Device& d) {
  d.awaited = 0;
  for (std::uint32_t i = 0; i < d.config->accelerators.size(); ++i) {
    const files::AcceleratorEntry& a = d.config->accelerators[i];
    auto m = request<wire::OpenAccelerator>(wire::ExecutorOp::accelerator, i);
    m.threads = static_cast<std::uint32_t>(a.config.threads);
    m.cores = static_cast<std::uint32_t>(std::min(a.config.cores.size(), m.core.size()));
    std::copy_n(a.config.cores.begin(), m.cores, m.core.begin());
    m.spin_us = static_cast<std::uint32_t>(a.spin / 1us);
    m.realtime_priority = a.priority;
    m.realtime_worker = a.realtime;
    wire::set_text(m.name, a.config.name);
    if (auto ok = live::send_message(d.socket.get(), m); !ok) return ok;
    ++d.awaited;
  }
  for (std::uint32_t i = 0; i < service_.models.size(); ++i) {
    std::string profile;
    for (const auto& p : service_.config.models[i].profiles)
      if (&service_.config.device_of(p.accelerator) == d.config) profile = p.file.string();
    if (profile.empty()) continue;  // no profile on any of its accelerators: it cannot run there
    auto m = request<wire::LoadModel>(wire::ExecutorOp::load_model, i);
    m.first_variant = service_.models[i].first_variant.value;
    wire::set_text(m.directory, service_.models[i].directory);
    wire::set_text(m.profile, profile);
    if (auto ok = live::send_message(d.socket.get(), m); !ok) return ok;
    ++d.awaited;
  }
  for (const SharedPool& pool : all_pools_()) {
    auto m = request<wire::MapPool>(wire::ExecutorOp::map_pool, pool.number);
    m.kind = pool.kind;
    m.bytes = pool.bytes;
    if (auto ok = live::send_message(d.socket.get(), m, {&pool.fd, 1}); !ok) return ok;
    d.mapping.push_back(pool.number);
  }
  ++d.awaited;
  return live::send_message(d.socket.get(), request<wire::ExecutorSimple>(wire::ExecutorOp::start_workers));
}

void Executors::receive(Device& d) {
  std::array<std::byte, wire::kMaxMessage> room;
  live::Packet p;
  while (d.socket.valid()) {
    const live::Received what = live::receive_packet(d.socket.get(), room, p);
    if (what == live::Received::nothing) return;
    wire::Ready r;
    if (what != live::Received::packet || p.bytes.size() != sizeof r) {
      lost(d, what == live::Received::closed ? "it ended" : "it sent nonsense");
      return;
    }
    std::copy(p.bytes.begin(), p.bytes.end(), reinterpret_cast<std::byte*>(&r));
    ready(d, r);
  }
}

void Executors::ready(Device& d, const wire::Ready& r) {
  if (r.about == wire::ExecutorOp::map_pool) {
    if (r.failed != 0) spdlog::error("executor {}: pool {}: {}", d.config->name, r.header.number, wire::text_of(r.text));
    mapped(d, r.header.number);
    return;
  }
  if (r.about == wire::ExecutorOp::unmap_pool) return;
  if (r.failed != 0) {
    spdlog::error("executor {}: {}", d.config->name, wire::text_of(r.text));
    lost(d, "it could not be set up");
    return;
  }
  if (r.about == wire::ExecutorOp::load_model && r.header.number < d.models.size()) d.models[r.header.number] = true;
  if (d.awaited == 0 || --d.awaited > 0) return;
  d.step = Step::up;
  d.kill_at = kNever;
  d.up_since = live::monotonic_now();
  share_.up(d.link.get());
  spdlog::info("executor {}: up, {}", d.config->name,
               r.realtime != 0 ? "real-time workers" : "workers without SCHED_FIFO");
}

// The process is given up: killed if it is still there, its link left to the scheduler thread if that had it.
void Executors::lost(Device& d, const char* why) {
  if (d.step == Step::absent) return;
  if (!quitting_) spdlog::warn("executor {}: lost: {}", d.config->name, why);
  loop_.remove(d.socket.get());
  d.socket.reset();
  end_process(d.process.get());
  d.process.reset();
  const Instant now = live::monotonic_now();
  if (d.step == Step::up) {
    if (now - d.up_since >= kProven) d.strikes = 0;
    share_.down(d.link.get());
    leaving_.push_back(std::move(d.link));
  }
  d.link.reset();
  d.step = Step::absent;
  d.models.assign(d.models.size(), false);
  strike(d, now);
  while (!d.mapping.empty()) mapped(d, d.mapping.back());
}

// Once for each process, whether it failed before or after it had connected.
void Executors::strike(Device& d, Instant now) {
  if (d.struck || quitting_) return;
  d.struck = true;
  d.next_start = now + kFirstDelay * (1U << d.strikes++);
  if (d.strikes < kQuarantine) return;
  spdlog::critical("executor {}: failed {} times in a row; it stays off until taktd is restarted", d.config->name, d.strikes);
  d.next_start = kNever;
}

void Executors::child_ended(Device& d) {
  const int pidfd = d.child.pidfd();
  const auto end = d.child.reap();
  if (!end) return;
  loop_.remove(pidfd);
  if (!quitting_) spdlog::warn("executor {}: ended ({} {})", d.config->name, end->killed ? "signal" : "status", end->code);
  if (d.step != Step::absent) lost(d, "its process ended");
  strike(d, live::monotonic_now());
  d.child = live::ChildProcess{};
}

void Executors::mapped(Device& d, std::uint32_t number) {
  const auto it = std::find(d.mapping.begin(), d.mapping.end(), number);
  if (it == d.mapping.end()) return;
  d.mapping.erase(it);
  const bool awaited = std::any_of(devices_.begin(), devices_.end(), [&](const Device& o) {
    return std::find(o.mapping.begin(), o.mapping.end(), number) != o.mapping.end();
  });
  if (!awaited) share_.pool_mapped(number);
}

bool Executors::map_pool(const SharedPool& pool) {
  auto m = request<wire::MapPool>(wire::ExecutorOp::map_pool, pool.number);
  m.kind = pool.kind;
  m.bytes = pool.bytes;
  bool any = false;
  for (Device& d : devices_) {
    if (d.step == Step::absent) continue;
    if (!live::send_message(d.socket.get(), m, {&pool.fd, 1})) continue;
    d.mapping.push_back(pool.number);
    any = true;
  }
  return any;
}

void Executors::unmap_pool(std::uint32_t number) {
  const auto m = request<wire::ExecutorSimple>(wire::ExecutorOp::unmap_pool, number);
  for (Device& d : devices_)
    if (d.step != Step::absent) (void)live::send_message(d.socket.get(), m);
}

void Executors::link_released(ExecutorLink* link) {
  std::erase_if(leaving_, [&](const auto& l) { return l.get() == link; });
}

void Executors::link_corrupt(ExecutorLink* link) {
  for (Device& d : devices_)
    if (d.link.get() == link) lost(d, "it wrote nonsense into its rings");
}

void Executors::quit_all() {
  quitting_ = true;
  for (Device& d : devices_) {
    if (d.config->executor != files::ExecutorStart::spawn) continue;  // somebody else's
    if (d.step != Step::absent)
      (void)live::send_message(d.socket.get(), request<wire::ExecutorSimple>(wire::ExecutorOp::quit));
    else if (d.child.running())
      d.child.signal(SIGTERM);
  }
}

bool Executors::all_ended() const noexcept {
  return std::none_of(devices_.begin(), devices_.end(), [](const Device& d) {
    const bool adopted = d.config->executor == files::ExecutorStart::spawn && d.step != Step::absent;
    return d.child.running() || adopted;
  });
}

bool Executors::holds(std::uint32_t model) const noexcept {
  return std::any_of(devices_.begin(), devices_.end(), [&](const Device& d) { return d.models[model]; });
}

}  // namespace takt::daemon
