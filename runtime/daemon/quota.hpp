// What clients may use: counted per listener and per user, charged before anything is made.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <utility>

#include "files/service_file.hpp"
#include "takt/result.hpp"

namespace takt::daemon {

struct Usage {
  std::uint32_t sessions = 0, streams = 0;
  std::uint64_t memory = 0;  // bytes of buffer pools
};

// Control thread only.
class Quota {
 public:
  // Charges all of `more`, or nothing and says which limit was reached.
  [[nodiscard]] Result<void> charge(const files::ListenerConfig& listener, uid_t user, const Usage& more) {
    Usage& all = by_listener_[&listener];
    Usage& own = by_user_[{&listener, user}];
    if (!fits(all, more, listener.limits)) return fail(Code::no_capacity, "a limit of the listener is reached: sessions, streams or memory");
    if (!fits(own, more, listener.user)) return fail(Code::no_capacity, "a limit of this user is reached: sessions, streams or memory");
    add(all, more);
    add(own, more);
    return {};
  }
  void refund(const files::ListenerConfig& listener, uid_t user, const Usage& less) {
    subtract(by_listener_[&listener], less);
    const auto own = by_user_.find({&listener, user});
    subtract(own->second, less);
    if (own->second.sessions == 0) by_user_.erase(own);
  }

 private:
  static bool fits(const Usage& used, const Usage& more, const files::Limits& limit) noexcept {
    return used.sessions + more.sessions <= limit.sessions && used.streams + more.streams <= limit.streams &&
           more.memory <= limit.memory && used.memory <= limit.memory - more.memory;
  }
  static void add(Usage& u, const Usage& more) noexcept {
    u.sessions += more.sessions, u.streams += more.streams, u.memory += more.memory;
  }
  static void subtract(Usage& u, const Usage& less) noexcept {
    u.sessions -= less.sessions, u.streams -= less.streams, u.memory -= less.memory;
  }

  std::map<const files::ListenerConfig*, Usage> by_listener_;
  std::map<std::pair<const files::ListenerConfig*, uid_t>, Usage> by_user_;
};

}  // namespace takt::daemon
