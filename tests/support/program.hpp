// Runs one of our programs as a user would.
#pragma once

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

namespace takt::testing {

struct Said {
  int status = 0;    // exit status; -1: it did not end by itself
  std::string text;  // of both outputs
};

// `command` starts with the program's name; it is looked for where this build puts programs.
inline Said run_program(const std::string& command) {
  Said said;
  FILE* pipe = ::popen((std::string(TAKT_BINARY_DIR) + "/bin/" + command + " 2>&1").c_str(), "r");
  std::array<char, 4096> room;
  for (std::size_t n = 0; (n = std::fread(room.data(), 1, room.size(), pipe)) > 0;) said.text.append(room.data(), n);
  const int end = ::pclose(pipe);
  said.status = WIFEXITED(end) ? WEXITSTATUS(end) : -1;
  return said;
}

}  // namespace takt::testing
