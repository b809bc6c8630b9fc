// flock.
#include "live/file_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>

namespace takt::live {

Result<FileDescriptor> lock_file(const std::string& path) {
  FileDescriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return fail(errno == EACCES ? Code::no_permission : Code::system, "cannot open the lock file", errno);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0)
    return fail(errno == EWOULDBLOCK ? Code::already_exists : Code::system, "another process holds the lock", errno);
  return fd;
}

}  // namespace takt::live
