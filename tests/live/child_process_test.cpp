// Child processes: clean surroundings, and how they ended.
#include "live/child_process.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>

#include <fstream>
#include <sstream>

#include "models/temporary_folder.hpp"

namespace takt::live {
namespace {

std::string text_of(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

Result<ChildProcess> shell(const std::string& command, std::vector<std::string> environment = {}) {
  return ChildProcess::start(
      {.program = "/bin/sh", .arguments = {"-c", command}, .environment = std::move(environment)});
}

ChildEnd wait_for(ChildProcess& child) {
  pollfd end{.fd = child.pidfd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&end, 1, 20'000), 1);
  const std::optional<ChildEnd> reaped = child.reap();
  EXPECT_TRUE(reaped.has_value());
  return reaped.value_or(ChildEnd{});
}

TEST(ChildProcess, TellsItsExitStatusOnce) {
  Result<ChildProcess> child = shell("exit 3");
  ASSERT_TRUE(child);
  EXPECT_TRUE(child->running());
  const ChildEnd end = wait_for(*child);
  EXPECT_FALSE(end.killed);
  EXPECT_EQ(end.code, 3);
  EXPECT_FALSE(child->running());
  EXPECT_FALSE(child->reap().has_value());
}

TEST(ChildProcess, TellsTheSignalThatEndedIt) {
  Result<ChildProcess> child = shell("exec sleep 100");
  ASSERT_TRUE(child);
  EXPECT_FALSE(child->reap().has_value());
  child->signal(SIGTERM);
  const ChildEnd end = wait_for(*child);
  EXPECT_TRUE(end.killed);
  EXPECT_EQ(end.code, SIGTERM);
}

TEST(ChildProcess, AProgramThatIsNotThereIsNotFound) {
  const Result<ChildProcess> child =
      ChildProcess::start({.program = "/nowhere/takt-exec", .arguments = {}, .environment = {}});
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().code, Code::not_found);
}

TEST(ChildProcess, InheritsNoDescriptorsAndNoBlockedOrIgnoredSignals) {
  const test::TemporaryFolder folder;
  const FileDescriptor leak(::open("/dev/null", O_RDONLY));  // without close-on-exec
  sigset_t block, before;
  sigemptyset(&block);
  sigaddset(&block, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &block, &before);
  const auto old = ::signal(SIGINT, SIG_IGN);
  Result<ChildProcess> child =
      shell("ls /proc/$$/fd > " + (folder / "fds").string() + "; exec grep -E 'SigBlk|SigIgn' /proc/self/status > " +
            (folder / "signals").string());
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::signal(SIGINT, old);
  ASSERT_TRUE(child);
  wait_for(*child);
  std::istringstream fds(text_of(folder / "fds"));
  for (int fd = 0; fds >> fd;) EXPECT_NE(fd, leak.get());
  std::istringstream masks(text_of(folder / "signals"));
  constexpr std::uint64_t kOrdinary = 0x7fffffff;  // 32 and 33 belong to the C library
  std::uint64_t mask = 0;
  int lines = 0;
  for (std::string name; masks >> name >> std::hex >> mask; ++lines) EXPECT_EQ(mask & kOrdinary, 0U) << name;
  EXPECT_EQ(lines, 2);
}

TEST(ChildProcess, GetsTheGivenEnvironmentOnTopOfOurs) {
  const test::TemporaryFolder folder;
  ::setenv("TAKT_TEST_OURS", "ours", 1);
  ::setenv("TAKT_TEST_BOTH", "ours", 1);
  Result<ChildProcess> child =
      shell("echo $TAKT_TEST_OURS $TAKT_TEST_BOTH $TAKT_TEST_NEW > " + (folder / "out").string(),
            {"TAKT_TEST_BOTH=given", "TAKT_TEST_NEW=new"});
  ASSERT_TRUE(child);
  wait_for(*child);
  EXPECT_EQ(text_of(folder / "out"), "ours given new\n");
}

}  // namespace
}  // namespace takt::live
