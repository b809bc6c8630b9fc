// Connect, serve, stop, connect again.
#include "executor/executor.hpp"

#include <signal.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>

#include "executor/device.hpp"
#include "executor/log.hpp"
#include "executor/session.hpp"
#include "live/event_loop.hpp"
#include "live/monotonic_clock.hpp"
#include "live/service_manager.hpp"
#include "live/unix_socket.hpp"

namespace takt::executor {
namespace {

constexpr Duration kFirstBackOff = std::chrono::milliseconds(5), kLongestBackOff = std::chrono::milliseconds(50);
constexpr Duration kWatchPeriod = std::chrono::milliseconds(500);
enum Token : std::uint64_t { kSignal, kSocket, kTrouble };

class Executor {
 public:
  Executor(const ExecutorOptions& options, live::EventLoop loop, live::FileDescriptor signals,
           std::unique_ptr<Driver> driver)
      : options_(options), loop_(std::move(loop)), signals_(std::move(signals)), device_(std::move(driver)) {}

  int run() {
    if (!loop_.add(signals_.get(), kSignal) || !loop_.add(device_.trouble().fd(), kTrouble, live::kEdge))
      return EX_OSERR;
    live::tell_service_manager("READY=1");
    Instant last_seen = live::monotonic_now();
    Duration back_off = kFirstBackOff;
    for (;;) {
      if (Result<live::FileDescriptor> socket = live::connect_to(options_.socket); socket) {
        const Outcome outcome = serve(std::move(*socket));
        if (outcome == Outcome::end) return EX_OK;
        if (outcome == Outcome::lost) {
          last_seen = live::monotonic_now();
          back_off = kFirstBackOff;
        }
      }
      const Instant now = live::monotonic_now();
      if (now - last_seen >= options_.linger) {
        log_line("no broker at %s: gave up", options_.socket.c_str());
        return EX_UNAVAILABLE;
      }
      if (told_to_end_before(now + back_off)) return EX_OK;
      back_off = std::min(back_off * 2, kLongestBackOff);
    }
  }

 private:
  enum class Outcome { end, lost, refused };  // refused: the broker went before it attached us

  Outcome serve(live::FileDescriptor socket) {
    Session session(device_, std::move(socket));
    if (!session.greet(options_.device, options_.driver_name) || !loop_.add(session.fd(), kSocket))
      return Outcome::refused;
    const Session::Next next = converse(session);
    loop_.remove(session.fd());
    if (session.attached()) log_line(next == Session::Next::quit ? "ends" : "lost its broker");
    device_.stop(next == Session::Next::quit && !signalled_ ? Worker::Stop::drain : Worker::Stop::now);
    settle();
    if (next == Session::Next::quit) return Outcome::end;
    return session.attached() ? Outcome::lost : Outcome::refused;
  }

  Session::Next converse(Session& session) {
    for (;;) {
      const Instant now = live::monotonic_now();
      loop_.set_timer(std::min(session.tell_health(now), watch(session, now)));
      for (const live::Event& event : loop_.wait()) {
        if (event.token == kSignal) {
          signalled_ = true;
          return Session::Next::quit;
        }
        if (event.token == kTrouble) device_.log_trouble();
        if (event.token != kSocket) continue;
        if (const Session::Next next = session.receive(); next != Session::Next::go_on) return next;
      }
    }
  }

  // Ends the process if a launch never ends: no other way frees the device, and the broker starts a new executor. Twice
  // in a row, because after a stop of the whole process the first look comes before the worker's. Returns when to look
  // again.
  Instant watch(const Session& session, Instant now) {
    if (!session.attached()) return kNever;
    if (now < next_watch_) return next_watch_;
    next_watch_ = now + kWatchPeriod;
    const Worker* const hung = device_.hung(now);
    if (hung != nullptr && hung->hangs_at() == suspected_) {
      log_line("%s: a launch does not end: gave up", hung->config().name.c_str());
      ::_exit(EX_SOFTWARE);
    }
    suspected_ = hung != nullptr ? hung->hangs_at() : kNever;
    return next_watch_;
  }

  // Waits for the workers: the session's memory must not go while they use it. If one never ends, the process does.
  void settle() {
    if (device_.wait_idle(live::monotonic_now() + options_.linger)) return;
    log_line("a launch does not end: gave up");
    ::_exit(EX_SOFTWARE);
  }

  bool told_to_end_before(Instant deadline) {
    loop_.set_timer(deadline);
    while (live::monotonic_now() < deadline)
      for (const live::Event& event : loop_.wait())
        if (event.token == kSignal) return true;
    return false;
  }

  const ExecutorOptions& options_;
  live::EventLoop loop_;
  live::FileDescriptor signals_;
  Device device_;
  bool signalled_ = false;
  Instant next_watch_{}, suspected_ = kNever;
};

}  // namespace

void run_executor(const ExecutorOptions& options, std::unique_ptr<Driver> driver) {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  live::FileDescriptor signals(::signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK));
  Result<live::EventLoop> loop = live::EventLoop::make();
  if (!signals || !loop) ::_exit(EX_OSERR);
  Executor executor(options, std::move(*loop), std::move(signals), std::move(driver));
  ::_exit(executor.run());
}

}  // namespace takt::executor
