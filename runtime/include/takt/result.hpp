// How failure travels: Result for what the caller can act on, InputError for wrong input, TAKT_CHECK for our own bugs.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <tl/expected.hpp>

namespace takt {

enum class Code : int {
  invalid_argument = 1,
  not_found,
  already_exists,
  no_memory,
  no_capacity,
  no_permission,
  not_admitted,
  unsupported,
  corrupt,
  disconnected,
  timed_out,
  system,
  internal,
};

[[nodiscard]] constexpr const char* to_string(Code code) noexcept {
  switch (code) {
    case Code::invalid_argument: return "invalid argument";
    case Code::not_found: return "not found";
    case Code::already_exists: return "already exists";
    case Code::no_memory: return "out of memory";
    case Code::no_capacity: return "limit reached";
    case Code::no_permission: return "not permitted";
    case Code::not_admitted: return "not admitted";
    case Code::unsupported: return "not supported";
    case Code::corrupt: return "corrupt";
    case Code::disconnected: return "disconnected";
    case Code::timed_out: return "timed out";
    case Code::system: return "system error";
    case Code::internal: return "internal error";
  }
  return "unknown";
}

// `text` is static and says what and what to do; `vendor` is errno or the vendor's own number, 0 if none. Never allocates.
struct Error {
  Code code = Code::internal;
  const char* text = "";
  long vendor = 0;
};

template <class T>
using Result = tl::expected<T, Error>;

[[nodiscard]] inline tl::unexpected<Error> fail(Code code, const char* text, long vendor = 0) {
  return tl::unexpected<Error>(Error{code, text, vendor});
}

// Wrong input from a person or a file: where it is and what is wrong with it. `line` 0 means the whole file.
struct InputError {
  std::string file;
  int line = 0;
  std::string key;
  std::string text;

  [[nodiscard]] std::string to_string() const {
    return file + ":" + std::to_string(line) + ": " + (key.empty() ? "" : key + ": ") + text;
  }
};

template <class T>
using Parsed = tl::expected<T, InputError>;

[[noreturn]] inline void check_failed(const char* what, const char* file, int line) noexcept {
  std::fprintf(stderr, "%s:%d: takt invariant broken: %s\n", file, line, what);
  std::abort();
}

}  // namespace takt

// For our own bugs only; never for input.
#define TAKT_CHECK(condition) \
  (static_cast<bool>(condition) ? void(0) : ::takt::check_failed(#condition, __FILE__, __LINE__))
