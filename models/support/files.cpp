// Whole files in and out, on POSIX descriptors: fsync is out of reach of the streams.
#include "support/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>

namespace takt::models {
namespace {

constexpr int64_t kMaxFileBytes = int64_t{4} << 30;

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) {
      ::close(value_);
    }
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor(Descriptor&&) = delete;
  Descriptor& operator=(Descriptor&&) = delete;
  [[nodiscard]] int get() const { return value_; }
  // Closing is where some file systems report a failed write.
  [[nodiscard]] bool close() { return ::close(std::exchange(value_, -1)) == 0; }

 private:
  int value_;
};

bool write_all(int file, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written <= 0) {
      return false;
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

Result<std::vector<std::byte>> read_file(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a FIFO must not hang before it is refused.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) {
    return fail(errno == ENOENT ? Code::not_found : Code::system, "cannot open the file", errno);
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    return fail(Code::system, "cannot inspect the file", errno);
  }
  if (!S_ISREG(status.st_mode) || status.st_size > kMaxFileBytes) {
    return fail(Code::unsupported, "not a regular file of at most 4 GiB");
  }
  std::vector<std::byte> content(static_cast<std::size_t>(status.st_size));
  std::size_t filled = 0;
  while (filled < content.size()) {
    const ssize_t got = ::read(file.get(), content.data() + filled, content.size() - filled);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return fail(Code::system, "cannot read the file", errno);
    }
    if (got == 0) {
      break;  // it shrank meanwhile; the parser judges what is there
    }
    filled += static_cast<std::size_t>(got);
  }
  content.resize(filled);
  return content;
}

Result<void> write_file_atomically(const std::filesystem::path& path,
                                   std::span<const std::span<const std::byte>> pieces) {
  const std::string temporary = path.string() + ".tmp";
  Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (file.get() < 0) {
    return fail(Code::system, "cannot create the file", errno);
  }
  for (const auto piece : pieces) {
    if (!write_all(file.get(), piece)) {
      return fail(Code::system, "cannot write the file", errno);
    }
  }
  if (::fsync(file.get()) != 0 || !file.close()) {
    return fail(Code::system, "cannot flush the file", errno);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    return fail(Code::system, "cannot rename the finished file into place", errno);
  }
  return {};
}

}  // namespace takt::models
