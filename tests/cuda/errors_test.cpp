// errors: which of CUDA's numbers end a process, and what the operator is told.
#include "cuda/errors.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace takt::cuda {
namespace {

// "The process must be terminated and relaunched", says CUDA's header of these.
constexpr Status kTerminate[] = {226, 700, 702, 710, 714, 715, 716, 717, 718, 719, 721, 810, 911};

TEST(CudaErrors, WhatCudasHeaderCallsFatalEndsTheProcess) {
  for (const Status status : kTerminate) {
    EXPECT_TRUE(ends_process(status)) << status;
    EXPECT_EQ(meaning_of(status).fault, Fault::sticky) << status;
  }
  for (const Status status : {214, 220, 999})
    EXPECT_TRUE(ends_process(status)) << "hardware, or nobody knows: " << status;
}

TEST(CudaErrors, ALostDeviceEndsTheProcess) {
  for (const Status status : {46, 100, 101, 709}) {
    EXPECT_EQ(meaning_of(status).fault, Fault::gone) << status;
    EXPECT_TRUE(ends_process(status)) << status;
  }
}

TEST(CudaErrors, NothingElseEndsTheProcess) {
  std::set<Status> ending = {4, 46, 100, 101, 214, 216, 220, 709, 999};
  ending.insert(std::begin(kTerminate), std::end(kTerminate));
  for (Status status = -1; status < 10001; ++status) EXPECT_EQ(ends_process(status), ending.contains(status)) << status;
}

TEST(CudaErrors, OutOfMemoryIsNotSticky) {
  EXPECT_EQ(meaning_of(2).fault, Fault::memory);
  EXPECT_EQ(error_of(2).code, Code::no_memory);
  EXPECT_FALSE(ends_process(2));
}

TEST(CudaErrors, WorkUnderWayIsNoError) {
  EXPECT_EQ(meaning_of(kOk).fault, Fault::none);
  EXPECT_EQ(meaning_of(kNotReady).fault, Fault::busy);
  EXPECT_TRUE(checked(kOk));
}

TEST(CudaErrors, AMissingDriverIsToldFromAnOldOne) {
  for (const Status status : {34, 35}) EXPECT_EQ(meaning_of(status).fault, Fault::no_driver) << status;
  for (const Status status : {36, 803, 804, 222}) EXPECT_EQ(meaning_of(status).fault, Fault::mismatch) << status;
  for (const Status status : {98, 200, 209}) EXPECT_EQ(meaning_of(status).fault, Fault::mismatch) << status;
  EXPECT_EQ(error_of(35).code, Code::not_found);
}

TEST(CudaErrors, AFailedCaptureHarmsNothing) {
  for (Status status = 900; status <= 908; ++status) {
    EXPECT_EQ(meaning_of(status).fault, Fault::capture) << status;
    EXPECT_FALSE(ends_process(status)) << status;
  }
}

TEST(CudaErrors, TheVendorsNumberTravels) {
  const Result<void> failed = checked(719);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().vendor, 719);
  EXPECT_EQ(failed.error().code, Code::disconnected);
}

TEST(CudaErrors, ANumberOfTheFutureIsAnErrorWithATextAndHarmsNothing) {
  for (const Status status : {-1, 5, 613, 1000, 12345}) {
    EXPECT_EQ(meaning_of(status).fault, Fault::misuse) << status;
    EXPECT_STRNE(error_of(status).text, "") << status;
    EXPECT_FALSE(checked(status)) << status;
  }
}

}  // namespace
}  // namespace takt::cuda
