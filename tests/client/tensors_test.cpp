// Shapes: rooms, forms, and what results may claim.
#include "client/tensors.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "support/fake_daemon.hpp"

namespace takt::lib {
namespace {

TEST(AForm, IsTheSmallestThatCoversThePicture) {
  wire::ModelInfo model = test::picture_model("m", 1);
  model.forms = 3;
  model.form[2] = {PictureFormat::nv12, {}, 640, 480};
  EXPECT_EQ(covering_form(model, PictureFormat::nv12, 320, 240), 2);
  EXPECT_EQ(covering_form(model, PictureFormat::nv12, 642, 480), 0);
  EXPECT_EQ(covering_form(model, PictureFormat::nv12, 1282, 720), -1);
  EXPECT_EQ(covering_form(model, PictureFormat::gray, 8, 8), -1);
}

TEST(ATensor, ThatIsAbsurdlyLargeHasNoSize) {
  wire::WireTensorSpec spec;
  spec.dtype = DType::f64;
  spec.rank = 3;
  spec.dims = {1024, 1024, 16};
  EXPECT_EQ(packed_bytes(spec), std::uint64_t{1024} * 1024 * 16 * 8);
  spec.dims = {0xffffffff, 0xffffffff, 0xffffffff};
  EXPECT_EQ(packed_bytes(spec), std::nullopt);
}

TEST(ATensor, SurvivesTheWayToTheWireAndBack) {
  takt_tensor tensor{};
  tensor.dtype = TAKT_I16;
  tensor.rank = 2;
  tensor.dims[0] = 3, tensor.dims[1] = 4;
  tensor.strides[0] = 16, tensor.strides[1] = 2;
  const auto desc = to_wire(tensor);
  ASSERT_TRUE(desc.has_value());
  const takt_tensor back = to_c(*desc);
  EXPECT_EQ(std::memcmp(&tensor, &back, sizeof tensor), 0);
  tensor.rank = 7;
  EXPECT_FALSE(to_wire(tensor).has_value());
}

TEST(AResult, InASmallerAreaThanItsHeaderIsNone) {
  alignas(64) std::array<std::byte, 64> area{};
  EXPECT_EQ(output_of(area, 0).error().code, Code::corrupt);
}

TEST(AResult, MayUseItsAreaToTheLastByteAndNoFurther) {
  alignas(64) std::array<std::byte, 1024> area{};
  ResultHeader header;
  header.count = 1;
  TensorDesc& desc = header.tensors[0];
  desc.dtype = DType::f32;
  desc.rank = 1;
  desc.dims[0] = 16;
  desc.offset = 1024 - 64;
  desc.bytes = 64;
  std::memcpy(area.data(), &header, sizeof header);
  ASSERT_TRUE(output_of(area, 0).has_value());
  EXPECT_EQ(output_of(area, 0)->bytes, 64U);
  EXPECT_EQ(output_of(area, 1).error().code, Code::not_found);
  desc.dims[0] = 17;
  desc.bytes = 68;
  std::memcpy(area.data(), &header, sizeof header);
  EXPECT_EQ(output_of(area, 0).error().code, Code::corrupt);
}

}  // namespace
}  // namespace takt::lib
