// The counting operator new; see allocation_counter.hpp.
#include "support/allocation_counter.hpp"

#include <cstdlib>
#include <new>
#include <utility>

namespace {

thread_local bool watching = false;
thread_local std::uint64_t seen = 0;

void* take(std::size_t bytes, std::size_t alignment) noexcept {
  if (watching) ++seen;
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  return std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
}

void* take_or_throw(std::size_t bytes, std::size_t alignment) {
  void* memory = take(bytes, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

constexpr std::size_t kPlain = __STDCPP_DEFAULT_NEW_ALIGNMENT__;

}  // namespace

void* operator new(std::size_t n) {
  return take_or_throw(n, kPlain);
}
void* operator new[](std::size_t n) {
  return take_or_throw(n, kPlain);
}
void* operator new(std::size_t n, std::align_val_t a) {
  return take_or_throw(n, static_cast<std::size_t>(a));
}
void* operator new[](std::size_t n, std::align_val_t a) {
  return take_or_throw(n, static_cast<std::size_t>(a));
}
void* operator new(std::size_t n, const std::nothrow_t&) noexcept {
  return take(n, kPlain);
}
void* operator new[](std::size_t n, const std::nothrow_t&) noexcept {
  return take(n, kPlain);
}
void operator delete(void* p) noexcept {
  std::free(p);
}
void operator delete[](void* p) noexcept {
  std::free(p);
}
void operator delete(void* p, std::size_t) noexcept {
  std::free(p);
}
void operator delete[](void* p, std::size_t) noexcept {
  std::free(p);
}
void operator delete(void* p, std::align_val_t) noexcept {
  std::free(p);
}
void operator delete[](void* p, std::align_val_t) noexcept {
  std::free(p);
}
void operator delete(void* p, std::size_t, std::align_val_t) noexcept {
  std::free(p);
}
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept {
  std::free(p);
}
void operator delete(void* p, const std::nothrow_t&) noexcept {
  std::free(p);
}
void operator delete[](void* p, const std::nothrow_t&) noexcept {
  std::free(p);
}

namespace takt::test {

std::uint64_t allocations_seen() noexcept {
  return seen;
}
WatchAllocations::WatchAllocations() noexcept : before_(std::exchange(watching, true)) {}
WatchAllocations::~WatchAllocations() {
  watching = before_;
}
IgnoreAllocations::IgnoreAllocations() noexcept : before_(std::exchange(watching, false)) {}
IgnoreAllocations::~IgnoreAllocations() {
  watching = before_;
}

}  // namespace takt::test
