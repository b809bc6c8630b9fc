// A fake broker as a program, for the Python tests: `fake_daemon SOCKET` answers every frame at once until stdin ends.
// A line on stdin: "restart" ends it like a crash and starts it anew; "refuse" and "admit" decide on streams that ask.
#include <atomic>
#include <cstdio>
#include <iostream>
#include <string>

#include "support/fake_daemon.hpp"

int main(int count, char** arguments) {
  if (count != 2) return 64;
  std::atomic<bool> refuse = false;
  takt::test::FakeDaemon daemon(arguments[1]);
  daemon.rules.models = {takt::test::picture_model("slim_resnet", 7), takt::test::tensor_model("adder", 9)};
  takt::wire::set_text(daemon.rules.preset, "front camera");
  daemon.rules.answers_by_itself = true;
  daemon.rules.refuse_stream = [&](const takt::wire::OpenStream&) { return refuse.load(); };
  daemon.start();
  std::puts("ready");
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "restart") {
      daemon.stop();
      daemon.start();
    }
    refuse = line == "refuse";
    std::puts("done");
    std::fflush(stdout);
  }
  daemon.stop();
  for (const std::string& fault : daemon.faults()) std::fprintf(stderr, "the client did wrong: %s\n", fault.c_str());
  return daemon.faults().empty() ? 0 : 1;
}
