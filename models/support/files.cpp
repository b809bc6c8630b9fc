// Whole files in and out, on POSIX descriptors: fsync is out of reach of the streams.
#include "support/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace takt::models {
namespace {

constexpr int64_t kMaxFileBytes = int64_t{4} << 30;
constexpr std::size_t kMaxParts = 1000;

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

// Takes "-NUMBER" off the end of `text`; nothing, and `text` as it was, where there is none.
std::optional<std::size_t> take_number(std::string_view& text) {
  const std::size_t dash = text.rfind('-');
  if (dash == std::string_view::npos) {
    return std::nullopt;
  }
  std::size_t number = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + dash + 1, end, number);
  if (parsed.ec != std::errc{} || parsed.ptr != end) {
    return std::nullopt;
  }
  text.remove_suffix(text.size() - dash);
  return number;
}

// NAME-2-of-3.EXT as NAME.EXT, 2, 3.
struct PartName {
  std::filesystem::path whole;
  std::size_t part = 1;
  std::size_t parts = 1;
};
PartName split_name(const std::filesystem::path& path) {
  const std::string stem = path.stem().string();
  std::string_view text = stem;
  const auto parts = take_number(text);
  constexpr std::string_view kOf = "-of";
  if (!parts || !text.ends_with(kOf)) {
    return {path};
  }
  text.remove_suffix(kOf.size());
  const auto part = take_number(text);
  if (!part) {
    return {path};
  }
  return {path.parent_path() / (std::string(text) + path.extension().string()), *part, *parts};
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

std::filesystem::path part_name(const std::filesystem::path& whole, std::size_t part, std::size_t parts) {
  if (parts == 1) {
    return whole;
  }
  return whole.parent_path() / (whole.stem().string() + "-" + std::to_string(part) + "-of-" + std::to_string(parts) +
                                whole.extension().string());
}

Result<std::vector<std::filesystem::path>> part_names(const std::filesystem::path& first) {
  const PartName name = split_name(first);
  if (name.part != 1 || name.parts < 1 || name.parts > kMaxParts) {
    return fail(Code::invalid_argument, "a file in parts is known by its first: NAME-1-of-N, N at most 1,000");
  }
  if (name.parts == 1) {
    return std::vector{first};
  }
  std::vector<std::filesystem::path> names;
  for (std::size_t part = 1; part <= name.parts; ++part) {
    names.push_back(part_name(name.whole, part, name.parts));
  }
  return names;
}

Result<std::vector<std::vector<std::byte>>> read_parts(const std::filesystem::path& first) {
  const auto names = part_names(first);
  if (!names) {
    return tl::unexpected(names.error());
  }
  std::vector<std::vector<std::byte>> parts;
  for (const std::filesystem::path& name : *names) {
    auto content = read_file(name);
    if (!content) {
      const bool later = !parts.empty() && content.error().code == Code::not_found;
      return later ? fail(Code::not_found, "a part is missing beside the first: there must be as many as its name says")
                   : tl::unexpected(content.error());
    }
    parts.push_back(std::move(*content));
  }
  return parts;
}

}  // namespace takt::models
