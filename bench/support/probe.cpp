// libbench-probe.so: preloaded into taktd and takt-exec, counts heap calls and notes the time of every futex wake.
#include "support/probe.hpp"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);
}

namespace {

using takt::bench::ProbePage;

ProbePage* page = nullptr;
using SystemCall = long (*)(long, ...);
SystemCall real_call = nullptr;

void count_allocation() noexcept {
  if (page != nullptr) page->allocations.fetch_add(1, std::memory_order_relaxed);
}

void note_wake() noexcept {
  if (page == nullptr) return;
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  const std::uint64_t place = page->wakes.load(std::memory_order_relaxed);
  page->wake_ns[place % ProbePage::kWakes].store(std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec,
                                                 std::memory_order_relaxed);
  page->wakes.fetch_add(1, std::memory_order_release);
}

// Before main(), with one thread.
__attribute__((constructor)) void open_page() {
  real_call = reinterpret_cast<SystemCall>(::dlsym(RTLD_NEXT, "syscall"));
  const char* folder = std::getenv(takt::bench::kProbeFolder);
  if (folder == nullptr) return;
  char path[512];
  std::snprintf(path, sizeof path, "%s/%s.%d", folder, program_invocation_short_name, ::getpid());
  const int fd = ::open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0 || ::ftruncate(fd, sizeof(ProbePage)) != 0) return;
  void* const memory = ::mmap(nullptr, sizeof(ProbePage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  ::close(fd);
  if (memory != MAP_FAILED) page = static_cast<ProbePage*>(memory);
}

}  // namespace

extern "C" {

void* malloc(std::size_t bytes) {
  count_allocation();
  return __libc_malloc(bytes);
}
void* calloc(std::size_t count, std::size_t bytes) {
  count_allocation();
  return __libc_calloc(count, bytes);
}
void* realloc(void* old, std::size_t bytes) {
  count_allocation();
  return __libc_realloc(old, bytes);
}
void* memalign(std::size_t alignment, std::size_t bytes) {
  count_allocation();
  return __libc_memalign(alignment, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  count_allocation();
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** out, std::size_t alignment, std::size_t bytes) {
  count_allocation();
  *out = __libc_memalign(alignment, bytes);
  return *out == nullptr ? ENOMEM : 0;
}
void free(void* old) {
  if (old != nullptr && page != nullptr) page->frees.fetch_add(1, std::memory_order_relaxed);
  __libc_free(old);
}

// The rooms call futexes by this function; FUTEX_WAKE is how the broker hands a decision to a sleeping worker.
long syscall(long number, ...) {
  va_list arguments;
  va_start(arguments, number);
  long a[6];
  for (long& each : a) each = va_arg(arguments, long);
  va_end(arguments);
  if (number == SYS_futex && (a[1] & FUTEX_CMD_MASK) == FUTEX_WAKE) note_wake();
  return real_call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
}
