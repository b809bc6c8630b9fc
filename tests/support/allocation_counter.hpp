// Counts heap allocations: a program that links this has its operator new replaced.
#pragma once

#include <cstdint>

namespace takt::test {

// Calls of any operator new of this thread while a watch was on.
[[nodiscard]] std::uint64_t allocations_seen() noexcept;

// Counts until its scope ends; scopes nest.
class WatchAllocations {
 public:
  WatchAllocations() noexcept;
  ~WatchAllocations();
  WatchAllocations(const WatchAllocations&) = delete;
  WatchAllocations& operator=(const WatchAllocations&) = delete;

 private:
  bool before_;
};

// Switches the watch off until its scope ends: for test code that is called back from within a watched scope.
class IgnoreAllocations {
 public:
  IgnoreAllocations() noexcept;
  ~IgnoreAllocations();
  IgnoreAllocations(const IgnoreAllocations&) = delete;
  IgnoreAllocations& operator=(const IgnoreAllocations&) = delete;

 private:
  bool before_;
};

}  // namespace takt::test
