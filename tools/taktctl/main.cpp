// taktctl: asks a running service what it is at. `status` prints one JSON object.
#include <poll.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <vector>

#include "live/unix_socket.hpp"

namespace {

// Wrong arguments end with this status, as for every tool of takt; 1: the service cannot be reached.
constexpr int kWrong = 2;
constexpr int kPatienceMs = 5000;
constexpr std::size_t kMostBytes = 128 * 1024;

int complain(const std::string& path, const char* what, long number = 0) {
  std::fprintf(stderr, "taktctl: %s: %s%s%s\n", path.c_str(), what, number != 0 ? ": " : "",
               number != 0 ? std::strerror(static_cast<int>(number)) : "");
  return 1;
}

int status(const std::string& path) {
  const auto socket = takt::live::connect_to(path);
  if (!socket) return complain(path, socket.error().text, socket.error().vendor);
  pollfd waited{.fd = socket->get(), .events = POLLIN, .revents = 0};
  if (::poll(&waited, 1, kPatienceMs) <= 0) return complain(path, "the service does not answer");
  std::vector<std::byte> room(kMostBytes);
  takt::live::Packet packet;
  if (takt::live::receive_packet(socket->get(), room, packet) != takt::live::Received::packet)
    return complain(path, "the service turned the question away: too many ask");
  std::printf("%.*s\n", static_cast<int>(packet.bytes.size()), reinterpret_cast<const char*>(packet.bytes.data()));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Asks a running takt service.");
  app.require_subcommand(1);
  std::string socket = "/run/takt/status.sock";
  CLI::App* asked = app.add_subcommand("status", "policy with its present values, accelerators, frames; JSON");
  asked->add_option("--socket", socket, "the path that <status> has in takt.xml")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : kWrong;
  }
  return status(socket);
}
