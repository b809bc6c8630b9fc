// Sealed memory: what we make cannot change its size, and what could is not mapped.
#include "live/shared_memory.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "live/file_lock.hpp"
#include "models/temporary_folder.hpp"

namespace takt::live {
namespace {

FileDescriptor unsealed(off_t bytes, int seals, unsigned flags = MFD_ALLOW_SEALING) {
  FileDescriptor fd(::memfd_create("test", MFD_CLOEXEC | flags));
  EXPECT_EQ(::ftruncate(fd.get(), bytes), 0);
  if (seals != 0) {
    EXPECT_EQ(::fcntl(fd.get(), F_ADD_SEALS, seals), 0);
  }
  return fd;
}

TEST(SharedMemory, CannotChangeItsSizeOnceMade) {
  const Result<FileDescriptor> fd = make_memory("test", 10'000);
  ASSERT_TRUE(fd);
  EXPECT_NE(::ftruncate(fd->get(), 5'000), 0);
  EXPECT_EQ(errno, EPERM);
  EXPECT_NE(::ftruncate(fd->get(), 20'000), 0);
  EXPECT_NE(::fcntl(fd->get(), F_ADD_SEALS, F_SEAL_WRITE), 0);
  EXPECT_EQ(check_memory(fd->get()).value_or(0), 10'000U);
}

TEST(SharedMemory, OfNoBytesIsRefused) {
  EXPECT_FALSE(make_memory("test", 0));
  EXPECT_FALSE(make_memory("test", ~std::uint64_t{0}));
}

TEST(ForeignMemory, MustBeSealedAgainstShrinkingAndGrowing) {
  EXPECT_TRUE(check_memory(unsealed(4096, F_SEAL_SHRINK | F_SEAL_GROW).get()));
  EXPECT_FALSE(check_memory(unsealed(4096, 0).get()));
  EXPECT_FALSE(check_memory(unsealed(4096, F_SEAL_SHRINK).get()));
  EXPECT_FALSE(check_memory(unsealed(4096, F_SEAL_GROW).get()));
  EXPECT_FALSE(check_memory(unsealed(0, F_SEAL_SHRINK | F_SEAL_GROW).get()));
}

TEST(ForeignMemory, MustBeAMemfd) {
  const FileDescriptor null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  EXPECT_FALSE(check_memory(null.get()));
  EXPECT_FALSE(check_memory(-1));
}

TEST(ForeignMemory, OfHugePagesIsRefused) {
  const FileDescriptor fd(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB));
  if (!fd) GTEST_SKIP() << "this kernel has no huge pages";
  ASSERT_EQ(::ftruncate(fd.get(), 2 << 20), 0);
  ASSERT_EQ(::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
  EXPECT_FALSE(check_memory(fd.get()));
}

TEST(Mapping, SharesBytesBetweenTwoMappings) {
  const Result<FileDescriptor> fd = make_memory("test", 4096);
  ASSERT_TRUE(fd);
  const Result<Mapping> writer = Mapping::map(fd->get(), 4096, Access::read_write);
  const Result<Mapping> reader = Mapping::map(fd->get(), 4096, Access::read_only, Populate::eager);
  ASSERT_TRUE(writer && reader);
  std::strcpy(reinterpret_cast<char*>(writer->data()), "frame");
  EXPECT_STREQ(reinterpret_cast<const char*>(reader->data()), "frame");
  EXPECT_EQ((reader->as<std::array<char, 4097>>()), nullptr);
  EXPECT_NE((reader->as<std::array<char, 4096>>()), nullptr);
}

TEST(Mapping, NeverReachesBehindItsMemory) {
  const Result<FileDescriptor> fd = make_memory("test", 4096);
  ASSERT_TRUE(fd);
  EXPECT_FALSE(Mapping::map(fd->get(), 4097, Access::read_only));
  EXPECT_FALSE(Mapping::map(fd->get(), 0, Access::read_only));
  EXPECT_TRUE(Mapping::map(fd->get(), 100, Access::read_only));
}

TEST(Mapping, CanBeMoved) {
  const Result<FileDescriptor> fd = make_memory("test", 4096);
  Result<Mapping> first = Mapping::map(fd->get(), 4096, Access::read_write);
  ASSERT_TRUE(first);
  Mapping second = std::move(*first);
  second.data()[0] = std::byte{1};
  EXPECT_FALSE(first->valid());
  Mapping third;
  third = std::move(second);
  EXPECT_EQ(third.data()[0], std::byte{1});
}

TEST(FileLock, IsHeldByOneAtATimeAndEndsWithItsDescriptor) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "device.lock";
  Result<FileDescriptor> first = lock_file(path);
  ASSERT_TRUE(first);
  const Result<FileDescriptor> second = lock_file(path);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::already_exists);
  first->reset();
  EXPECT_TRUE(lock_file(path));
}

}  // namespace
}  // namespace takt::live
