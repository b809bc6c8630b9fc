// A bar on stderr with the time left: redrawn on a terminal, now and then a line elsewhere.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>

namespace takt::tool {

// Not for several threads at a time.
class Progress {
 public:
  Progress(std::string what, std::size_t done, std::size_t all)
      : what_(std::move(what)), done_(done), before_(done), all_(all) {
    if (done_ < all_) show();
  }
  ~Progress() {
    if (done_ == before_) return;
    show();
    if (terminal_) std::fputc('\n', stderr);
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void step() {
    ++done_;
    const auto pause = terminal_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(15'000);
    if (Clock::now() - shown_ >= pause) show();
  }

 private:
  using Clock = std::chrono::steady_clock;

  void show() {
    shown_ = Clock::now();
    const double seconds = std::chrono::duration<double>(shown_ - start_).count();
    const double left =
        done_ > before_ ? seconds / static_cast<double>(done_ - before_) * static_cast<double>(all_ - done_) : 0;
    constexpr std::size_t kWidth = 30;
    const std::size_t filled = kWidth * done_ / std::max<std::size_t>(all_, 1);
    std::fprintf(stderr, "%s%s [%.*s%*s] %zu of %zu runs, %.0f s, %.0f s left %s", terminal_ ? "\r" : "", what_.c_str(),
                 static_cast<int>(filled), "##############################", static_cast<int>(kWidth - filled), "",
                 done_, all_, seconds, left, terminal_ ? "" : "\n");
    std::fflush(stderr);
  }

  std::string what_;
  std::size_t done_, before_, all_;
  bool terminal_ = ::isatty(STDERR_FILENO) == 1;
  Clock::time_point start_ = Clock::now(), shown_ = start_;
};

}  // namespace takt::tool
