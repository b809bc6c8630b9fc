// Runs a fuzz target without libFuzzer: mutates its seeds in a fixed order for TAKT_FUZZ_SECONDS (2 if unset).
// With file names as arguments it runs those instead; with --seeds FOLDER it writes its seeds there, for libFuzzer. An
// input that crashes is left in crash-input.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "target.hpp"

namespace {

constexpr std::size_t kMaxInput = 65536;

// What is running, for the signal handler.
const char* running = nullptr;
std::size_t running_size = 0;

extern "C" void save_input(int signal) {
  const int fd = open("crash-input", O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd >= 0) {
    [[maybe_unused]] const ssize_t written = write(fd, running, running_size);
    close(fd);
  }
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void run(const std::string& input) {
  running = input.data();
  running_size = input.size();
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

class Mutator {
 public:
  Mutator(std::vector<std::string> seeds, std::vector<std::string> words)
      : seeds_(std::move(seeds)), words_(std::move(words)) {}

  std::string next() {
    std::string text = seeds_[below(seeds_.size())];
    for (std::size_t times = 1 + below(6); times > 0; --times) mutate(text);
    text.resize(std::min(text.size(), kMaxInput));
    return text;
  }

 private:
  std::size_t below(std::size_t n) { return n == 0 ? 0 : static_cast<std::size_t>(random_() % n); }

  void mutate(std::string& text) {
    const std::size_t at = below(text.size() + 1);
    switch (below(8)) {
      case 0: text.erase(at, below(16)); break;
      case 1: text.insert(at, below(16), static_cast<char>(below(256))); break;
      case 2: text.resize(at); break;
      case 3: text.insert(at, text.substr(below(text.size() + 1), below(256))); break;
      case 4: {
        const std::string& other = seeds_[below(seeds_.size())];
        text = text.substr(0, at) + other.substr(std::min(at, other.size()));
        break;
      }
      case 5: put_word(text, at); break;
      case 6: put_number(text, at); break;
      default:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
    }
  }

  // Over as many bytes or between them.
  void put_word(std::string& text, std::size_t at) {
    if (words_.empty()) return;
    const std::string& word = words_[below(words_.size())];
    text.replace(at, below(2) == 0 ? word.size() : 0, word);
  }

  // A border value of 1, 2, 4 or 8 bytes over what is there.
  void put_number(std::string& text, std::size_t at) {
    static constexpr std::array<std::uint64_t, 10> kBorders{
        0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff, 0x7fffffffffffffff, 0xffffffffffffffff};
    std::uint64_t value = kBorders[below(kBorders.size())] + below(3) - 1;
    for (std::size_t n = std::size_t{1} << below(4); n > 0 && at < text.size(); --n, ++at, value >>= 8)
      text[at] = static_cast<char>(value & 0xff);
  }

  std::vector<std::string> seeds_, words_;
  std::mt19937_64 random_{1};
};

std::string read_whole(const char* name) {
  std::ifstream in(name, std::ios::binary);
  if (!in) std::fprintf(stderr, "cannot read %s\n", name), std::exit(66);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void write_seeds(const std::string& folder) {
  int number = 0;
  for (const std::string& seed : takt::fuzz::seeds())
    std::ofstream(folder + "/seed" + std::to_string(number++), std::ios::binary) << seed;
}

}  // namespace

int main(int argc, char** argv) {
  for (const int signal : {SIGABRT, SIGSEGV, SIGFPE, SIGILL, SIGBUS}) std::signal(signal, save_input);
  if (argc == 3 && argv[1] == std::string("--seeds")) return write_seeds(argv[2]), 0;
  for (int i = 1; i < argc; ++i) run(read_whole(argv[i]));
  if (argc > 1) return 0;
  const char* asked = std::getenv("TAKT_FUZZ_SECONDS");
  const std::chrono::duration<double> time(asked != nullptr ? std::atof(asked) : 2);
  const std::vector<std::string> seeds = takt::fuzz::seeds();
  for (const std::string& seed : seeds) run(seed);
  Mutator mutator(seeds, takt::fuzz::words());
  const auto start = std::chrono::steady_clock::now();
  std::uint64_t runs = 0;
  for (; std::chrono::steady_clock::now() - start < time; ++runs) run(mutator.next());
  std::printf("%llu inputs\n", static_cast<unsigned long long>(runs));
  return 0;
}
