// Validation of messages: good ones pass unchanged, and each way of being wrong is refused.
#include "wire/decode.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <random>
#include <vector>

#include "takt/job.hpp"

namespace {
std::size_t allocations = 0;
}

[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace takt::wire {
namespace {

template <class T>
T message(Op op) {
  T m;
  m.header.op = op;
  m.header.bytes = sizeof m;
  m.header.request = 7;
  return m;
}

template <class T>
std::vector<std::byte> packet(const T& m) {
  std::vector<std::byte> bytes(sizeof m);
  std::memcpy(bytes.data(), &m, sizeof m);
  return bytes;
}

template <class T>
Result<T> round(const T& m) {
  return decode<T>(packet(m));
}

// That `m` is good, and that it is refused with this code after `change`.
template <class T, class Change>
void expect_refused(T m, const Change& change, Code code = Code::invalid_argument) {
  const auto before = round(m);
  ASSERT_TRUE(before) << before.error().text;
  change(m);
  const auto after = round(m);
  ASSERT_FALSE(after);
  EXPECT_EQ(after.error().code, code) << after.error().text;
  EXPECT_STRNE(after.error().text, "");
}

Hello hello() {
  auto m = message<Hello>(Op::hello);
  set_text(m.client, "camera");
  return m;
}

OpenStream open_stream() {
  auto m = message<OpenStream>(Op::open_stream);
  m.period_ns = m.relative_deadline_ns = 33'000'000;
  return m;
}

CreatePool create_pool() {
  auto m = message<CreatePool>(Op::create_pool);
  m.bytes = 4096;
  return m;
}

TensorDesc picture(PictureFormat format, std::uint32_t width, std::uint32_t height) {
  TensorDesc d;
  d.format = format;
  d.rank = 2;
  d.dims = {height, width};
  d.bytes = picture_bytes(format, width, height);
  return d;
}

TensorDesc tensor(DType dtype, std::initializer_list<std::uint32_t> dims) {
  TensorDesc d;
  d.dtype = dtype;
  d.bytes = bytes_of(dtype);
  for (const std::uint32_t n : dims) {
    d.dims[d.rank++] = n;
    d.bytes *= n;
  }
  return d;
}

std::vector<std::byte> submit_packet(std::size_t inputs) {
  auto m = message<Submit>(Op::submit);
  m.inputs = static_cast<std::uint32_t>(inputs);
  m.tag = 99;
  m.header.bytes = static_cast<std::uint32_t>(sizeof m + inputs * sizeof(TensorDesc));
  auto bytes = packet(m);
  for (std::size_t i = 0; i < inputs; ++i) {
    auto d = tensor(DType::f32, {4});
    d.offset = 16 * i;
    const auto more = packet(d);
    bytes.insert(bytes.end(), more.begin(), more.end());
  }
  return bytes;
}

TEST(Framing, OfAGoodMessageGivesItsOperation) {
  const auto op = check_header(packet(hello()));
  ASSERT_TRUE(op);
  EXPECT_EQ(*op, Op::hello);
}

TEST(Framing, RefusesEveryTruncationAndAppendage) {
  auto bytes = packet(open_stream());
  for (std::size_t n = 0; n < bytes.size(); ++n)
    EXPECT_FALSE(decode<OpenStream>(std::span(bytes).first(n))) << n << " bytes";
  bytes.push_back(std::byte{0});
  EXPECT_FALSE(decode<OpenStream>(bytes));
}

TEST(Framing, RefusesASizeThatTheOperationDoesNotHave) {
  auto m = open_stream();
  m.header.bytes = sizeof m - 8;
  auto bytes = packet(m);
  bytes.resize(sizeof m - 8);
  const auto decoded = decode<OpenStream>(bytes);
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, Code::corrupt);
}

TEST(Framing, RefusesForeignHeaders) {
  expect_refused(
      open_stream(), [](auto& m) { m.header.magic = 0x6b746174; }, Code::corrupt);
  expect_refused(
      open_stream(), [](auto& m) { m.header.bytes = 1 << 30; }, Code::corrupt);
  expect_refused(
      open_stream(), [](auto& m) { m.header.reserved = 1; }, Code::corrupt);
  expect_refused(
      open_stream(), [](auto& m) { m.header.major = kMajor + 1; }, Code::unsupported);
  expect_refused(
      open_stream(), [](auto& m) { m.header.op = Op{0}; }, Code::unsupported);
  expect_refused(
      open_stream(), [](auto& m) { m.header.op = Op{999}; }, Code::unsupported);
  expect_refused(
      open_stream(), [](auto& m) { m.header.op = Op::cancel; }, Code::corrupt);
}

TEST(Framing, RefusesMessagesOverTheGreatestSize) {
  std::vector<std::byte> bytes(kMaxMessage + 1);
  Header header;
  header.bytes = static_cast<std::uint32_t>(bytes.size());
  std::memcpy(bytes.data(), &header, sizeof header);
  EXPECT_FALSE(check_header(bytes));
}

TEST(Decode, PassesEveryMessageUnchanged) {
  auto stream = open_stream();
  stream.accuracy_floor = 0.25f;
  stream.header.op = Op::update_stream;
  const auto decoded = round(stream);
  ASSERT_TRUE(decoded) << decoded.error().text;
  EXPECT_EQ(std::memcmp(&*decoded, &stream, sizeof stream), 0);

  auto welcome = message<Welcome>(Op::welcome);
  welcome.credits = kMaxCredits;
  EXPECT_TRUE(round(welcome));
  EXPECT_TRUE(round(hello()));
  EXPECT_TRUE(round(create_pool()));
  EXPECT_TRUE(round(message<Failure>(Op::failure)));
  EXPECT_TRUE(round(message<ListModels>(Op::list_models)));
  EXPECT_TRUE(round(message<ModelInfo>(Op::model_info)));
  EXPECT_TRUE(round(message<Done>(Op::done)));
  EXPECT_TRUE(round(message<StreamOpened>(Op::stream_opened)));
  EXPECT_TRUE(round(message<CloseStream>(Op::close_stream)));
  EXPECT_TRUE(round(message<StreamChanged>(Op::stream_changed)));
  EXPECT_TRUE(round(message<FreePool>(Op::free_pool)));
  EXPECT_TRUE(round(message<ReleaseCredit>(Op::release_credit)));
  EXPECT_TRUE(round(message<Cancel>(Op::cancel)));
  EXPECT_TRUE(round(message<Notice>(Op::notice)));
  EXPECT_TRUE(round(message<VerdictMessage>(Op::verdict)));
  auto created = message<PoolCreated>(Op::pool_created);
  created.bytes = 1;
  EXPECT_TRUE(round(created));
  auto import = create_pool();
  import.header.op = Op::import_pool;
  EXPECT_TRUE(round(import));
}

TEST(DecodeHello, NegotiatesItsMajorVersionByRange) {
  auto m = hello();
  m.header.major = kMajor + 3;
  m.max_major = kMajor + 3;
  EXPECT_TRUE(round(m));
  expect_refused(
      m, [](auto& h) { h.min_major = kMajor + 1; }, Code::unsupported);
  expect_refused(
      hello(), [](auto& h) { h.max_major = kMajor - 1; }, Code::unsupported);
}

TEST(DecodeHello, RefusesTextsThatDoNotEndOrHoldControlCharacters) {
  expect_refused(hello(), [](auto& m) { m.client.fill('x'); });
  expect_refused(hello(), [](auto& m) { m.client[1] = '\n'; });
  expect_refused(hello(), [](auto& m) { m.client[1] = '\x7f'; });
  expect_refused(hello(), [](auto& m) { m.client[1] = '\x1b'; });
  expect_refused(hello(), [](auto& m) { m.now_ns = -1; });
  expect_refused(hello(), [](auto& m) { m.reserved2 = 1; });
  auto umlaut = hello();
  set_text(umlaut.client, "K\xc3\xb6ln");
  EXPECT_TRUE(round(umlaut));
}

TEST(DecodeOpenStream, RefusesUnknownEnumerators) {
  expect_refused(open_stream(), [](auto& m) { m.criticality = 3; });
  expect_refused(open_stream(), [](auto& m) { m.late = 2; });
  expect_refused(open_stream(), [](auto& m) { m.queue = 3; });
  expect_refused(open_stream(), [](auto& m) { m.parent = 1, m.trigger_op = 3; });
}

TEST(DecodeOpenStream, RefusesTimesThatAreNegativeOrAbsurd) {
  expect_refused(open_stream(), [](auto& m) { m.period_ns = -1; });
  expect_refused(open_stream(), [](auto& m) { m.period_ns = kMaxPeriodNs + 1; });
  expect_refused(open_stream(), [](auto& m) { m.jitter_ns = std::numeric_limits<std::int64_t>::min(); });
  expect_refused(open_stream(), [](auto& m) { m.jitter_ns = kMaxDeadlineAheadNs + 1; });
  expect_refused(open_stream(), [](auto& m) { m.relative_deadline_ns = -1; });
  expect_refused(open_stream(), [](auto& m) { m.relative_deadline_ns = kMaxDeadlineAheadNs + 1; });
}

TEST(DecodeOpenStream, WantsPeriodAndDeadlineOfHardStreams) {
  auto hard = open_stream();
  hard.criticality = static_cast<std::uint8_t>(Criticality::hard);
  expect_refused(hard, [](auto& m) { m.period_ns = 0; });
  expect_refused(hard, [](auto& m) { m.relative_deadline_ns = 0; });
}

TEST(DecodeOpenStream, RefusesNumbersThatAreNone) {
  const float nan = std::nanf(""), infinite = std::numeric_limits<float>::infinity();
  expect_refused(open_stream(), [&](auto& m) { m.accuracy_floor = nan; });
  expect_refused(open_stream(), [&](auto& m) { m.accuracy_ceiling = nan; });
  expect_refused(open_stream(), [&](auto& m) { m.accuracy_ceiling = 1.5f; });
  expect_refused(open_stream(), [&](auto& m) { m.accuracy_floor = 0.6f, m.accuracy_ceiling = 0.5f; });
  expect_refused(open_stream(), [&](auto& m) { m.trigger_threshold = nan; });
  expect_refused(open_stream(), [&](auto& m) { m.trigger_threshold = infinite; });
}

TEST(DecodeOpenStream, RefusesPositionsThatCannotBe) {
  expect_refused(open_stream(), [](auto& m) { m.form = -2; });
  expect_refused(open_stream(), [](auto& m) { m.form = kMaxForms; });
  expect_refused(open_stream(), [](auto& m) { m.queue_depth = 0; });
  expect_refused(open_stream(), [](auto& m) { m.queue_depth = kMaxQueueDepth + 1; });
  expect_refused(open_stream(), [](auto& m) { m.trigger_metric = kMaxMetrics; });
  expect_refused(open_stream(), [](auto& m) { m.trigger_op = 1; });
}

TEST(DecodeOpenStream, LooksAtNothingElseOfAPreset) {
  auto m = open_stream();
  set_text(m.preset, "camera");
  m.queue_depth = 0;
  m.period_ns = 0;
  EXPECT_TRUE(round(m));
  expect_refused(m, [](auto& p) { p.preset.fill('x'); });
}

TEST(DecodePool, RefusesKindsAndSizesThatCannotBe) {
  expect_refused(create_pool(), [](auto& m) { m.kind = PoolKind{0}; });
  expect_refused(create_pool(), [](auto& m) { m.kind = PoolKind{3}; });
  expect_refused(create_pool(), [](auto& m) { m.bytes = 0; });
  expect_refused(create_pool(), [](auto& m) { m.bytes = kMaxPoolBytes + 1; });
}

TEST(DecodeReleaseCredit, RefusesCountsThatNobodyHas) {
  expect_refused(message<ReleaseCredit>(Op::release_credit), [](auto& m) { m.count = 0; });
  expect_refused(message<ReleaseCredit>(Op::release_credit), [](auto& m) { m.count = kMaxCredits + 1; });
}

TEST(DecodeOfTheBroker, RefusesWhatWouldMisleadAClient) {
  auto welcome = message<Welcome>(Op::welcome);
  welcome.credits = 1;
  expect_refused(welcome, [](auto& m) { m.credits = kMaxCredits + 1; });
  expect_refused(message<VerdictMessage>(Op::verdict), [](auto& m) { m.verdict = kVerdicts; });
  expect_refused(message<VerdictMessage>(Op::verdict), [](auto& m) { m.subnet_name.fill('x'); });
  expect_refused(message<ModelInfo>(Op::model_info), [](auto& m) { m.inputs = kMaxTensors + 1; });
  expect_refused(message<ModelInfo>(Op::model_info), [](auto& m) { m.inputs = 1, m.input[0].dtype = DType{0}; });
  expect_refused(message<ModelInfo>(Op::model_info), [](auto& m) { m.outputs = 1, m.output[0].rank = 7; });
  expect_refused(message<ModelInfo>(Op::model_info), [](auto& m) { m.forms = 1; });
  expect_refused(message<StreamOpened>(Op::stream_opened), [](auto& m) { m.outcome = 3; });
  expect_refused(message<Failure>(Op::failure), [](auto& m) { m.text.fill('x'); });
}

TEST(DecodeSubmit, CopiesTheFrameAndItsInputs) {
  std::array<TensorDesc, kMaxTensors> storage;
  for (std::size_t inputs = 1; inputs <= kMaxTensors; ++inputs) {
    const auto view = decode_submit(submit_packet(inputs), storage);
    ASSERT_TRUE(view) << view.error().text;
    EXPECT_EQ(view->submit.tag, 99u);
    ASSERT_EQ(view->inputs.size(), inputs);
    EXPECT_EQ(view->inputs.data(), storage.data());
    EXPECT_EQ(view->inputs[inputs - 1].offset, 16 * (inputs - 1));
  }
}

TEST(DecodeSubmit, RefusesAnotherCountThanArrived) {
  std::array<TensorDesc, kMaxTensors> storage;
  const auto refused = [&](std::uint32_t claimed, std::size_t sent) {
    auto bytes = submit_packet(sent);
    std::memcpy(bytes.data() + offsetof(Submit, inputs), &claimed, sizeof claimed);
    return !decode_submit(bytes, storage);
  };
  EXPECT_TRUE(refused(0, 0));
  EXPECT_TRUE(refused(0, 1));
  EXPECT_TRUE(refused(2, 1));
  EXPECT_TRUE(refused(1, 2));
  EXPECT_TRUE(refused(kMaxTensors + 1, kMaxTensors + 1));
  EXPECT_TRUE(refused(0xffffffff, 1));
}

TEST(DecodeSubmit, RefusesTruncationsAndNegativeCaptureTimes) {
  std::array<TensorDesc, kMaxTensors> storage;
  auto bytes = submit_packet(2);
  for (std::size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(decode_submit(std::span(bytes).first(n), storage));
  const std::int64_t before = -1;
  std::memcpy(bytes.data() + offsetof(Submit, capture_ns), &before, sizeof before);
  EXPECT_FALSE(decode_submit(bytes, storage));
  EXPECT_FALSE(decode_submit(packet(hello()), storage));
}

TEST(CheckDeadline, AllowsThePastAndRefusesTheFarFuture) {
  constexpr std::int64_t now = 5'000'000'000;
  EXPECT_TRUE(check_deadline(0, now));
  EXPECT_TRUE(check_deadline(1, now));
  EXPECT_TRUE(check_deadline(now + kMaxDeadlineAheadNs, now));
  EXPECT_FALSE(check_deadline(now + kMaxDeadlineAheadNs + 1, now));
  EXPECT_FALSE(check_deadline(std::numeric_limits<std::int64_t>::max(), now));
  EXPECT_FALSE(check_deadline(-1, now));
  EXPECT_FALSE(check_deadline(std::numeric_limits<std::int64_t>::min(), now));
}

TEST(CheckTensor, AcceptsWhatFillsItsPoolExactly) {
  const auto full = tensor(DType::f32, {1, 3, 32, 32});
  EXPECT_TRUE(check_tensor(full, full.bytes));
  EXPECT_FALSE(check_tensor(full, full.bytes - 1));
  auto second = full;
  second.offset = full.bytes;
  EXPECT_TRUE(check_tensor(second, 2 * full.bytes));
  EXPECT_FALSE(check_tensor(second, 2 * full.bytes - 1));
}

TEST(CheckTensor, RefusesOffsetsAndSizesThatWrapAround) {
  auto d = tensor(DType::u8, {16});
  d.offset = std::numeric_limits<std::uint64_t>::max() - 7;
  EXPECT_FALSE(check_tensor(d, 1 << 20));
  d = tensor(DType::u8, {16});
  d.bytes = std::numeric_limits<std::uint64_t>::max();
  d.offset = 32;
  EXPECT_FALSE(check_tensor(d, 1 << 20));
}

TEST(CheckTensor, RefusesDimensionsWhoseProductWrapsAround) {
  auto d = tensor(DType::u8, {1});
  d.rank = 6;
  d.dims.fill(65536);  // 2^96 elements, 0 modulo 2^64
  EXPECT_FALSE(check_tensor(d, 1 << 20));
  d.dims.fill(0xffffffff);
  d.strides.fill(0xffffffff);
  EXPECT_FALSE(check_tensor(d, 1 << 20));
}

TEST(CheckTensor, RefusesFewerBytesThanItsShapeNeeds) {
  auto d = tensor(DType::f32, {4, 4});
  d.bytes -= 1;
  EXPECT_FALSE(check_tensor(d, 4096));
  d = tensor(DType::f32, {4, 4});
  d.strides = {64, 4};
  EXPECT_FALSE(check_tensor(d, 4096));
  d.bytes = 3 * 64 + 3 * 4 + 4;
  EXPECT_TRUE(check_tensor(d, 4096));
  EXPECT_EQ(extent_of(d), d.bytes);
}

TEST(CheckTensor, RefusesInconsistentDescriptors) {
  const auto refused = [](auto change) {
    auto d = tensor(DType::f32, {4, 4});
    change(d);
    return !check_tensor(d, 4096);
  };
  EXPECT_TRUE(refused([](auto& d) { d.dtype = DType{0}; }));
  EXPECT_TRUE(refused([](auto& d) { d.dtype = DType{10}; }));
  EXPECT_TRUE(refused([](auto& d) { d.format = PictureFormat{5}; }));
  EXPECT_TRUE(refused([](auto& d) { d.reserved = 1; }));
  EXPECT_TRUE(refused([](auto& d) { d.rank = 0; }));
  EXPECT_TRUE(refused([](auto& d) { d.rank = 7; }));
  EXPECT_TRUE(refused([](auto& d) { d.dims[1] = 0; }));
  EXPECT_TRUE(refused([](auto& d) { d.dims[2] = 1; }));
  EXPECT_TRUE(refused([](auto& d) { d.strides[3] = 4; }));
  EXPECT_TRUE(refused([](auto& d) { d.offset = 2; }));
  EXPECT_TRUE(refused([](auto& d) { d.strides = {16, 0}; }));
  EXPECT_TRUE(refused([](auto& d) { d.strides = {18, 4}; }));
  EXPECT_TRUE(refused([](auto& d) { d.crop = {0, 0, 1, 1}; }));
}

TEST(CheckTensor, AcceptsPicturesOfEveryFormat) {
  for (const auto format : {PictureFormat::rgb, PictureFormat::nv12, PictureFormat::yuyv, PictureFormat::gray}) {
    const auto d = picture(format, 64, 48);
    EXPECT_TRUE(check_tensor(d, d.bytes)) << static_cast<int>(format);
    EXPECT_EQ(extent_of(d), picture_bytes(format, 64, 48));
    EXPECT_FALSE(check_tensor(d, d.bytes - 1));
  }
}

TEST(CheckTensor, CountsTheStrideOfEveryPlane) {
  auto d = picture(PictureFormat::nv12, 64, 48);
  d.strides[0] = 80;
  EXPECT_FALSE(check_tensor(d, 1 << 20));
  d.bytes = 71 * 80 + 64;  // 48 rows and 24 of chroma, the last without its padding
  EXPECT_TRUE(check_tensor(d, 1 << 20));
  EXPECT_EQ(extent_of(d), d.bytes);
}

TEST(CheckTensor, RefusesPicturesThatCannotBe) {
  const auto refused = [](auto change) {
    auto d = picture(PictureFormat::nv12, 64, 48);
    change(d);
    return !check_tensor(d, std::uint64_t{1} << 32);
  };
  EXPECT_TRUE(refused([](auto& d) { d.dims[1] = 63; }));
  EXPECT_TRUE(refused([](auto& d) { d.dims[0] = 47; }));
  EXPECT_TRUE(refused([](auto& d) { d.dims[1] = 4098, d.bytes = 1 << 30; }));
  EXPECT_TRUE(refused([](auto& d) { d.dtype = DType::i8; }));
  EXPECT_TRUE(refused([](auto& d) { d.rank = 3, d.dims[2] = 1; }));
  EXPECT_TRUE(refused([](auto& d) { d.strides[0] = 63; }));
  EXPECT_TRUE(refused([](auto& d) { d.strides[1] = 1; }));
}

TEST(CheckTensor, KeepsCropsInsideThePicture) {
  const auto accepted = [](std::array<std::uint32_t, 4> crop) {
    auto d = picture(PictureFormat::rgb, 64, 48);
    d.crop = crop;
    return check_tensor(d, d.bytes).has_value();
  };
  EXPECT_TRUE(accepted({0, 0, 64, 48}));
  EXPECT_TRUE(accepted({63, 47, 1, 1}));
  EXPECT_FALSE(accepted({1, 0, 64, 48}));
  EXPECT_FALSE(accepted({0, 1, 64, 48}));
  EXPECT_FALSE(accepted({0, 0, 0, 48}));
  EXPECT_FALSE(accepted({5, 5, 0, 0}));
  EXPECT_FALSE(accepted({0xffffffff, 0, 2, 1}));
}

// Every element that an accepted descriptor names lies within its bytes, by counting them one by one.
TEST(CheckTensor, AgreesWithCountingEveryElement) {
  std::mt19937 random(1);
  const auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  int accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    auto d = tensor(below(2) != 0 ? DType::u8 : DType::i16, {});
    d.rank = static_cast<std::uint8_t>(1 + below(3));
    const bool strided = below(2) != 0;
    for (std::size_t i = 0; i < d.rank; ++i) {
      d.dims[i] = 1 + below(4);
      d.strides[i] = strided ? below(12) : 0;
    }
    d.offset = below(16);
    d.bytes = below(64);
    constexpr std::uint64_t kPool = 64;
    if (!check_tensor(d, kPool)) continue;
    ++accepted;
    const std::uint64_t element = bytes_of(d.dtype);
    bool packed = true;
    for (const auto s : d.strides) packed = packed && s == 0;
    std::array<std::uint64_t, 3> step{};
    for (std::size_t i = d.rank, size = element; i-- > 0; size *= d.dims[i]) step[i] = packed ? size : d.strides[i];
    std::uint64_t end = 0;
    for (std::uint64_t i = 0; i < d.dims[0]; ++i)
      for (std::uint64_t j = 0; j < std::max(1u, d.dims[1]); ++j)
        for (std::uint64_t k = 0; k < std::max(1u, d.dims[2]); ++k)
          end = std::max(end, i * step[0] + j * step[1] + k * step[2] + element);
    ASSERT_EQ(extent_of(d), end);
    ASSERT_LE(end, d.bytes);
    ASSERT_LE(d.offset + d.bytes, kPool);
  }
  EXPECT_GT(accepted, 1000);
}

TEST(CheckAgainstSpec, TakesSameTypeAndRankAndNoLargerDimensions) {
  const TensorSpec spec{"x", DType::f32, {1, 8}};
  EXPECT_TRUE(check_against_spec(tensor(DType::f32, {1, 8}), spec));
  EXPECT_TRUE(check_against_spec(tensor(DType::f32, {1, 3}), spec));
  EXPECT_FALSE(check_against_spec(tensor(DType::f32, {1, 9}), spec));
  EXPECT_FALSE(check_against_spec(tensor(DType::i32, {1, 8}), spec));
  EXPECT_FALSE(check_against_spec(tensor(DType::f32, {8}), spec));
  EXPECT_FALSE(check_against_spec(picture(PictureFormat::rgb, 1, 8), TensorSpec{"x", DType::u8, {8, 8}}));
}

TEST(CheckAgainstForm, TakesTheFormatAndNoLargerPicture) {
  const Form form{"f", PictureFormat::nv12, 1280, 720, VariantId{}};
  EXPECT_TRUE(check_against_form(picture(PictureFormat::nv12, 1280, 720), form));
  EXPECT_TRUE(check_against_form(picture(PictureFormat::nv12, 640, 480), form));
  EXPECT_FALSE(check_against_form(picture(PictureFormat::nv12, 1282, 720), form));
  EXPECT_FALSE(check_against_form(picture(PictureFormat::nv12, 1280, 722), form));
  EXPECT_FALSE(check_against_form(picture(PictureFormat::yuyv, 640, 480), form));
  EXPECT_FALSE(check_against_form(tensor(DType::u8, {480, 640}), form));
}

TEST(Decode, NeverAllocates) {
  const auto good = packet(open_stream()), frame = submit_packet(kMaxTensors);
  auto bad = good;
  bad[sizeof(Header)] = bad[4] = std::byte{0xff};
  std::array<TensorDesc, kMaxTensors> storage;
  const Form form{"f", PictureFormat::rgb, 8, 8, VariantId{}};
  const auto desc = picture(PictureFormat::rgb, 8, 8);
  const std::size_t before = allocations;
  const bool decoded = decode<OpenStream>(good).has_value(), refused = !decode<OpenStream>(bad).has_value();
  const bool submitted = decode_submit(frame, storage).has_value();
  const bool checked = check_tensor(desc, 4096) && check_against_form(desc, form) && check_deadline(1, 2);
  const std::size_t after = allocations;
  EXPECT_TRUE(decoded && refused && submitted && checked);
  EXPECT_EQ(after, before);
}

}  // namespace
}  // namespace takt::wire
