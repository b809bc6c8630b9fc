// Error codes, names, and the text of the last failure.
#include <cstdarg>
#include <cstdio>

#include "client/client.hpp"
#include "takt/job.hpp"
#include "takt/result.hpp"

namespace takt::lib {

int fail(takt_client& client, takt_error error, const char* static_text) noexcept {
  client.error = static_text;
  return error;
}

int failf(takt_client& client, takt_error error, const char* format, ...) noexcept {
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(client.error_text.data(), client.error_text.size(), format, arguments);
  va_end(arguments);
  client.error = client.error_text.data();
  return error;
}

int fail_offline(takt_client& client) noexcept {
  return failf(client, TAKT_E_DISCONNECTED, "no broker at the moment (%s): takt_dispatch() reconnects",
               client.lost_because.data());
}

takt_error error_of(std::int32_t code) noexcept {
  switch (static_cast<Code>(code)) {
    case Code::invalid_argument:
    case Code::already_exists: return TAKT_E_INVALID;
    case Code::not_found: return TAKT_E_NOT_FOUND;
    case Code::no_memory: return TAKT_E_NO_MEMORY;
    case Code::no_capacity: return TAKT_E_LIMIT;
    case Code::no_permission: return TAKT_E_DENIED;
    case Code::not_admitted: return TAKT_E_NOT_ADMITTED;
    case Code::unsupported: return TAKT_E_UNSUPPORTED;
    case Code::corrupt: return TAKT_E_PROTOCOL;
    case Code::disconnected: return TAKT_E_DISCONNECTED;
    case Code::timed_out: return TAKT_E_TIMED_OUT;
    case Code::system:
    case Code::internal: break;
  }
  return TAKT_E_SYSTEM;
}

std::array<char, 320>& connect_error() noexcept {
  thread_local std::array<char, 320> text{"no error"};
  return text;
}

}  // namespace takt::lib

using namespace takt::lib;

int takt_abi_version(void) {
  return TAKT_ABI_VERSION;
}

int64_t takt_now_ns(void) {
  return now_ns();
}

const char* takt_error_name(int error) {
  switch (error) {
    case TAKT_OK: return "ok";
    case TAKT_E_INVALID: return "invalid argument";
    case TAKT_E_NOT_FOUND: return "not found";
    case TAKT_E_NO_CREDIT: return "no credit";
    case TAKT_E_NO_MEMORY: return "out of memory";
    case TAKT_E_LIMIT: return "limit reached";
    case TAKT_E_DENIED: return "not permitted";
    case TAKT_E_NOT_ADMITTED: return "not admitted";
    case TAKT_E_DISCONNECTED: return "disconnected";
    case TAKT_E_UNSUPPORTED: return "not supported";
    case TAKT_E_PROTOCOL: return "protocol error";
    case TAKT_E_TIMED_OUT: return "timed out";
    case TAKT_E_SYSTEM: return "system error";
    default: return "unknown";
  }
}

const char* takt_verdict_name(takt_verdict verdict) {
  const unsigned number = number_of(verdict);
  return number < takt::kVerdicts ? takt::to_string(static_cast<takt::Verdict>(number)) : "unknown";
}

const char* takt_last_error(const takt_client* client) {
  return client != nullptr ? client->error : connect_error().data();
}
