// memfd, seals and mmap.
#include "live/shared_memory.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <limits>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U  // Linux 6.3; older kernels answer EINVAL
#endif

namespace takt::live {
namespace {

constexpr int kNeededSeals = F_SEAL_SHRINK | F_SEAL_GROW;

tl::unexpected<Error> memory_error(const char* text) {
  const int error = errno;
  const Code code = error == ENOMEM || error == ENOSPC                      ? Code::no_memory
                    : error == EMFILE || error == ENFILE || error == EAGAIN ? Code::no_capacity
                    : error == EACCES || error == EPERM                     ? Code::no_permission
                                                                            : Code::system;
  return fail(code, text, error);
}

}  // namespace

Result<FileDescriptor> make_memory(const char* name, std::uint64_t bytes) {
  if (bytes == 0 || bytes > static_cast<std::uint64_t>(std::numeric_limits<off_t>::max()))
    return fail(Code::invalid_argument, "shared memory of no bytes, or of more than there can be");
  constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  FileDescriptor fd(::memfd_create(name, kFlags | MFD_NOEXEC_SEAL));
  if (!fd && errno == EINVAL) fd.reset(::memfd_create(name, kFlags));
  if (!fd) return memory_error("memfd_create failed");
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) return memory_error("cannot give shared memory its size");
  if (::fcntl(fd.get(), F_ADD_SEALS, kNeededSeals | F_SEAL_SEAL) != 0) return memory_error("cannot seal shared memory");
  return fd;
}

Result<std::uint64_t> check_memory(int fd) {
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0) return fail(Code::unsupported, "not a memfd: only sealed memfds can be shared", errno);
  if ((seals & kNeededSeals) != kNeededSeals)
    return fail(Code::unsupported, "the memfd can still change its size: seal it with F_SEAL_SHRINK and F_SEAL_GROW");
  // A hole punched into a huge page that cannot be had again raises SIGBUS; into a small one it reads zeroes.
  struct statfs file_system {};
  if (::fstatfs(fd, &file_system) != 0) return memory_error("fstatfs failed on a memfd");
  if (file_system.f_type == HUGETLBFS_MAGIC) return fail(Code::unsupported, "memfds of huge pages cannot be shared");
  struct stat file {};
  if (::fstat(fd, &file) != 0) return memory_error("fstat failed on a memfd");
  if (file.st_size <= 0) return fail(Code::unsupported, "the memfd is empty");
  return static_cast<std::uint64_t>(file.st_size);
}

Result<Mapping> Mapping::map(int fd, std::uint64_t bytes, Access access, Populate populate) {
  struct stat file {};
  if (::fstat(fd, &file) != 0) return memory_error("fstat failed before a mapping");
  if (bytes == 0 || bytes > static_cast<std::uint64_t>(file.st_size))
    return fail(Code::invalid_argument, "a mapping must lie within its memory");
  const int protection = access == Access::read_only ? PROT_READ : PROT_READ | PROT_WRITE;
  const int flags = MAP_SHARED | (populate == Populate::eager ? MAP_POPULATE : 0);
  void* const data = ::mmap(nullptr, static_cast<std::size_t>(bytes), protection, flags, fd, 0);
  if (data == MAP_FAILED) return memory_error("mmap failed");
  return Mapping(static_cast<std::byte*>(data), bytes);
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, static_cast<std::size_t>(bytes_));
}

}  // namespace takt::live
