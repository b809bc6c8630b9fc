// Client, broker and executor messages, frames and tensor descriptors: whatever is accepted is as safe as it claims.
#include <cstring>

#include "target.hpp"
#include "wire/decode.hpp"
#include "wire/executor_decode.hpp"
#include "wire/rings.hpp"

namespace takt::fuzz {
namespace {

using namespace takt::wire;

template <class T>
void try_one(std::span<const std::byte> packet) {
  const Result<T> message = decode<T>(packet);
  if (!message) {
    TAKT_CHECK(message.error().text[0] != '\0');
    return;
  }
  TAKT_CHECK(packet.size() == sizeof(T) && std::memcmp(&*message, packet.data(), sizeof(T)) == 0);
}

template <class... T>
void try_all(std::span<const std::byte> packet) {
  (try_one<T>(packet), ...);
}

template <class T>
void try_executor(std::span<const std::byte> packet) {
  const Result<T> message = decode_executor<T>(packet);
  if (!message) {
    TAKT_CHECK(message.error().text[0] != '\0');
    return;
  }
  TAKT_CHECK(packet.size() == sizeof(T) && std::memcmp(&*message, packet.data(), sizeof(T)) == 0);
  if constexpr (std::is_same_v<T, OpenAccelerator>)
    TAKT_CHECK(message->header.number < kMaxExecutorAccelerators && message->cores <= message->core.size() &&
               message->others <= message->other_sms.size());
}

template <class... T>
void try_executors(std::span<const std::byte> packet) {
  (try_executor<T>(packet), ...);
}

__extension__ using Wide = unsigned __int128;

// Where a descriptor's last element ends, in numbers that do not overflow where 64 bits would.
Wide end_of(const TensorDesc& d) {
  Wide last = 0;
  bool packed = true;
  for (const std::uint32_t stride : d.strides) packed = packed && stride == 0;
  Wide size = bytes_of(d.dtype);
  for (std::size_t i = d.rank; i-- > 0; size *= d.dims[i])
    last += (d.dims[i] - 1) * (packed ? size : static_cast<Wide>(d.strides[i]));
  return last + bytes_of(d.dtype);
}

void try_tensor(const TensorDesc& d) {
  for (const std::uint64_t pool : {std::uint64_t{4096}, std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
    if (!check_tensor(d, pool)) continue;
    TAKT_CHECK(static_cast<Wide>(d.offset) + d.bytes <= pool);
    TAKT_CHECK(extent_of(d) <= d.bytes);
    if (d.format == PictureFormat::none)
      TAKT_CHECK(end_of(d) == extent_of(d));
    else
      TAKT_CHECK(extent_of(d) >= picture_bytes(d.format, d.dims[1], d.dims[0]));
  }
  (void)check_against_spec(d, TensorSpec{"x", DType::f32, {1, 8}});
  (void)check_against_form(d, Form{"x", PictureFormat::nv12, 64, 48, VariantId{}});
}

void try_packet(std::span<const std::byte> packet) {
  (void)check_header(packet);
  try_all<Hello, Welcome, Failure, ListModels, ModelInfo, Done, OpenStream, StreamOpened, CloseStream, StreamChanged,
          CreatePool, PoolCreated, FreePool, ReleaseCredit, Cancel, Notice, VerdictMessage>(packet);
  try_executors<ExecutorHello, Attach, OpenAccelerator, LoadModel, MapPool, Ready, DeviceHealth, ExecutorSimple>(
      packet);
  std::array<TensorDesc, kMaxTensors> storage;
  const auto view = decode_submit(packet, storage);
  if (!view) return;
  TAKT_CHECK(view->inputs.size() == view->submit.inputs && view->inputs.data() == storage.data());
  (void)check_deadline(view->submit.deadline_ns, view->submit.capture_ns);
  for (const TensorDesc& d : view->inputs) try_tensor(d);
}

template <class T>
std::string seed(Op op, T message = {}) {
  message.header.op = op;
  message.header.bytes = sizeof message;
  return {reinterpret_cast<const char*>(&message), sizeof message};
}

template <class T>
std::string executor_seed(ExecutorOp op, T message = {}) {
  message.header.op = op;
  message.header.bytes = sizeof message;
  return {reinterpret_cast<const char*>(&message), sizeof message};
}

std::string frame(std::initializer_list<TensorDesc> inputs) {
  Submit submit;
  submit.header.op = Op::submit;
  submit.inputs = static_cast<std::uint32_t>(inputs.size());
  submit.header.bytes = static_cast<std::uint32_t>(sizeof submit + inputs.size() * sizeof(TensorDesc));
  std::string packet(reinterpret_cast<const char*>(&submit), sizeof submit);
  for (const TensorDesc& d : inputs) packet.append(reinterpret_cast<const char*>(&d), sizeof d);
  return packet;
}

}  // namespace

std::vector<std::string> seeds() {
  TensorDesc tensor, strided, picture;
  tensor.dtype = DType::f32, tensor.rank = 2, tensor.dims = {1, 8}, tensor.bytes = 32;
  strided = tensor, strided.strides = {64, 4};
  picture.format = PictureFormat::nv12, picture.rank = 2, picture.dims = {48, 64}, picture.bytes = 4608;
  picture.crop = {8, 8, 16, 16};
  CreatePool pool;
  pool.bytes = 4096;
  PoolCreated created;
  created.bytes = 4096;
  Welcome welcome;
  welcome.credits = 8;
  ModelInfo model;
  model.inputs = model.outputs = model.forms = model.metrics = 1;
  model.input[0].rank = 1, model.input[0].dims[0] = 4;
  model.form[0] = {PictureFormat::nv12, {}, 64, 48};
  return {seed<Hello>(Op::hello),
          seed<Welcome>(Op::welcome, welcome),
          seed<Failure>(Op::failure),
          seed<ListModels>(Op::list_models),
          seed<ModelInfo>(Op::model_info, model),
          seed<Done>(Op::done),
          seed<OpenStream>(Op::open_stream),
          seed<OpenStream>(Op::update_stream),
          seed<StreamOpened>(Op::stream_opened),
          seed<CloseStream>(Op::close_stream),
          seed<StreamChanged>(Op::stream_changed),
          seed<CreatePool>(Op::create_pool, pool),
          seed<CreatePool>(Op::import_pool, pool),
          seed<PoolCreated>(Op::pool_created, created),
          seed<FreePool>(Op::free_pool),
          seed<ReleaseCredit>(Op::release_credit),
          seed<Cancel>(Op::cancel),
          seed<Notice>(Op::notice),
          seed<VerdictMessage>(Op::verdict),
          executor_seed<ExecutorHello>(ExecutorOp::hello),
          executor_seed<Attach>(ExecutorOp::attach),
          executor_seed<OpenAccelerator>(ExecutorOp::accelerator),
          executor_seed<LoadModel>(ExecutorOp::load_model),
          executor_seed<MapPool>(ExecutorOp::map_pool),
          executor_seed<Ready>(ExecutorOp::ready),
          executor_seed<DeviceHealth>(ExecutorOp::device_health),
          executor_seed<ExecutorSimple>(ExecutorOp::start_workers),
          frame({tensor}),
          frame({strided}),
          frame({picture}),
          frame({tensor, picture, strided})};
}

std::vector<std::string> words() {
  return {};
}

}  // namespace takt::fuzz

// As it came, and with its framing put right, so that mutations reach the fields behind it.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::byte> packet(size);
  if (size > 0) std::memcpy(packet.data(), data, size);
  takt::fuzz::try_packet(packet);
  takt::wire::Header header;
  if (size < sizeof header) return 0;
  std::memcpy(&header, data, sizeof header);
  header.magic = takt::wire::kMagic;
  header.major = takt::wire::kMajor;
  header.reserved = 0;
  header.bytes = static_cast<std::uint32_t>(size);
  std::memcpy(packet.data(), &header, sizeof header);
  takt::fuzz::try_packet(packet);
  static_assert(sizeof(takt::wire::ExecutorHeader) <= sizeof header);
  takt::wire::ExecutorHeader executor;
  std::memcpy(&executor, data, sizeof executor);
  executor.magic = takt::wire::kMagic;
  executor.major = takt::wire::kExecutorMajor;
  executor.bytes = static_cast<std::uint32_t>(size);
  std::memcpy(packet.data(), data, sizeof header);
  std::memcpy(packet.data(), &executor, sizeof executor);
  takt::fuzz::try_packet(packet);
  return 0;
}
