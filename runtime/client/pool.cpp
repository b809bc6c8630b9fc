// Pools: nothing is mapped that a peer could shrink under us.
#include "client/pool.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

namespace takt::lib {

Pool::~Pool() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

const char* Pool::adopt(Descriptor memory, std::uint64_t bytes, wire::PoolKind kind) noexcept {
  if (!memory) return "the broker sent no memory with a pool";
  struct stat status {};
  struct statfs filesystem {};
  if (::fstat(memory.get(), &status) != 0 || ::fstatfs(memory.get(), &filesystem) != 0)
    return "the memory of a pool cannot be looked at";
  // Huge pages honour seals, but a hole punched into them can end us with SIGBUS.
  if (filesystem.f_type != TMPFS_MAGIC) return "the memory of a pool is not an ordinary memfd";
  const int seals = ::fcntl(memory.get(), F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) return "the memory of a pool is not sealed against shrinking";
  if (status.st_size < 0 || static_cast<std::uint64_t>(status.st_size) < bytes)
    return "the memory of a pool is smaller than said";
  const int access = kind == wire::PoolKind::frames ? PROT_READ | PROT_WRITE : PROT_READ;
  void* place = ::mmap(nullptr, bytes, access, MAP_SHARED | MAP_POPULATE, memory.get(), 0);
  if (place == MAP_FAILED) return "the memory of a pool cannot be mapped";
  if (data_ != nullptr) ::munmap(data_, bytes_);
  data_ = static_cast<std::byte*>(place);
  bytes_ = bytes;
  memory_ = std::move(memory);
  return nullptr;
}

}  // namespace takt::lib
