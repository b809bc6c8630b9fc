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
#include <utility>

#include "live/monotonic_clock.hpp"
#include "wire/decode.hpp"
#include "wire/executor_decode.hpp"

namespace takt::daemon {
namespace {

using namespace std::chrono_literals;
constexpr Duration kAdoptionGrace = 250ms;   // an executor that outlived an older broker reconnects within it
constexpr Duration kAttachLimit = 60s;       // loading models may take long on a small machine
constexpr Duration kFirstDelay = 20ms;       // before a restart, doubled with each strike
constexpr std::uint32_t kQuarantine = 3;     // strikes in a row after which only an operator helps
constexpr float kDisturbed = 1.15F;          // times the profile; the clock alone varies by less
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
    devices_[i].facts.resize(service.config.devices[i].accelerators.size());
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
    if (d.step != Step::absent || now < d.next_start || quitting_ || d.refused) continue;
    if (d.config->executor == files::ExecutorStart::spawn && !d.child.running()) start(d, now);
  }
}

Instant Executors::next_check() const noexcept {
  Instant next = kNever;
  for (const Device& d : devices_) {
    if (d.step == Step::connected) next = std::min(next, d.kill_at);
    if (d.step == Step::absent && !d.child.running() && !quitting_ && !d.refused && d.config->executor == files::ExecutorStart::spawn)
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
  if (live::receive_packet(socket.get(), room, p) != live::Received::packet) return;
  const Result<wire::ExecutorHello> hello = wire::decode_executor<wire::ExecutorHello>(p.bytes);
  if (!hello) {
    // It comes again and again; said once.
    if (!std::exchange(stranger_told_, true)) spdlog::warn("an executor was turned away: {}", hello.error().text);
    return;
  }
  for (Device& d : devices_) {
    if (d.config->name != wire::text_of(hello->device)) continue;
    if (d.step == Step::absent && d.config->driver == wire::text_of(hello->driver) && fits(d, *hello)) attach(d, std::move(socket));
    return;
  }
  spdlog::warn("an executor for unknown device '{}' was turned away", wire::text_of(hello->device));
}

// Whether its driver keeps activations where the configuration says. Told once; a process of ours is ended, not restarted.
bool Executors::fits(Device& d, const wire::ExecutorHello& hello) {
  const bool own = d.config->activations == files::Activations::own;
  if (own == (hello.shares_slots == 0)) return true;
  if (!std::exchange(d.refused, true))
    spdlog::critical("executor {}: driver {} keeps activations {}: write <device name=\"{}\" driver=\"{}\" activations=\"{}\"> in {}",
                     d.config->name, d.config->driver, own ? "in shared memory" : "on its device", d.config->name, d.config->driver,
                     own ? "shared" : "own", service_.config.file.string());
  if (d.child.running()) d.child.signal(SIGTERM);
  return false;
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
    m.precision = static_cast<std::uint8_t>(a.config.precision);
    m.unit = static_cast<std::uint32_t>(a.config.unit);
    m.sms = static_cast<std::uint32_t>(a.config.sms);
    for (const files::AcceleratorEntry& other : d.config->accelerators)
      if (&other != &a && other.config.unit == a.config.unit) m.other_sms[m.others++] = static_cast<std::uint32_t>(other.config.sms);
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
    if (what != live::Received::packet) {
      lost(d, what == live::Received::closed ? "it ended" : "it sent nonsense");
    } else if (const Result<void> taken = packet(d, p.bytes); !taken) {
      lost(d, taken.error().text);
    }
  }
}

// An error says why the executor is to be given up.
Result<void> Executors::packet(Device& d, std::span<const std::byte> bytes) {
  const Result<wire::ExecutorHeader> header = wire::check_executor_header(bytes);
  if (!header) return tl::unexpected(header.error());
  if (header->op == wire::ExecutorOp::device_health) {
    const Result<wire::DeviceHealth> h = wire::decode_executor<wire::DeviceHealth>(bytes);
    if (!h) return tl::unexpected(h.error());
    health(d, *h);
    return {};
  }
  const Result<wire::Ready> r = wire::decode_executor<wire::Ready>(bytes);
  if (!r) return tl::unexpected(r.error());
  ready(d, *r);
  return {};
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
  if (r.about == wire::ExecutorOp::accelerator) granted(d, r);
  if (r.about == wire::ExecutorOp::load_model && r.header.number < d.models.size()) d.models[r.header.number] = true;
  if (d.awaited == 0 || --d.awaited > 0) return;
  d.step = Step::up;
  d.kill_at = kNever;
  d.up_since = live::monotonic_now();
  share_.up(d.link.get());
  spdlog::info("executor {}: up, {}", d.config->name,
               r.realtime != 0 ? "real-time workers" : "workers without SCHED_FIFO");
}

void Executors::granted(Device& d, const wire::Ready& r) {
  if (r.header.number >= d.facts.size()) return;
  const files::AcceleratorEntry& a = d.config->accelerators[r.header.number];
  AcceleratorFacts& facts = d.facts[r.header.number];
  facts.sms = r.sms;
  facts.note = wire::text_of(r.text);
  if (r.sms > 0) spdlog::info("accelerator {}: {} multiprocessors granted", a.config.name, r.sms);
  if (!facts.note.empty()) spdlog::warn("accelerator {}: {}", a.config.name, facts.note);
}

void Executors::health(Device& d, const wire::DeviceHealth& h) {
  if (h.header.number >= d.facts.size()) return;
  AcceleratorFacts& facts = d.facts[h.header.number];
  const std::string& name = d.config->accelerators[h.header.number].config.name;
  const bool were = facts.health && facts.health->others > 0, slow = facts.health && facts.health->throttled != 0;
  if (h.others > 0 && !were) spdlog::warn("accelerator {}: {} other processes use its device", name, h.others);
  if (h.others > 0 && h.pace > kDisturbed && !std::exchange(facts.disturbed, true))
    spdlog::warn("accelerator {}: segments take {:.2f} times their profile while {} others use its device", name, h.pace, h.others);
  if (h.others <= 0) facts.disturbed = false;
  if (h.others <= 0 && were) spdlog::info("accelerator {}: has its device to itself again", name);
  if (h.throttled != 0 && !slow) spdlog::warn("accelerator {}: its device is slowed down by heat or power", name);
  facts.health = h;
}

std::vector<AcceleratorFacts> Executors::facts() const {
  std::vector<AcceleratorFacts> all;
  for (const Device& d : devices_) all.insert(all.end(), d.facts.begin(), d.facts.end());
  return all;
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
  d.facts.assign(d.facts.size(), AcceleratorFacts{});
  strike(d, now);
  while (!d.mapping.empty()) mapped(d, d.mapping.back());
}

// Once for each process, whether it failed before or after it had connected.
void Executors::strike(Device& d, Instant now) {
  if (d.struck || quitting_ || d.refused) return;
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
