// The client protocol: one SOCK_SEQPACKET packet is one message, a header and a fixed little-endian struct. See README.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "takt/tensor.hpp"

namespace takt::wire {

inline constexpr std::uint32_t kMagic = 0x74616b74;  // "takt"
inline constexpr std::uint16_t kMajor = 1;
inline constexpr std::uint16_t kMinor = 0;
inline constexpr std::size_t kMaxMessage = 4096;
inline constexpr std::size_t kMaxDescriptors = 4;   // SCM_RIGHTS in one message
inline constexpr std::size_t kMaxName = 64;
inline constexpr std::uint32_t kMaxCredits = 64;    // of a session
inline constexpr std::uint32_t kMaxPools = 64;      // of a session
inline constexpr std::int64_t kMaxDeadlineAheadNs = 10'000'000'000;  // a deadline further off is refused

// Feature bits of hello and welcome. A client uses only what both have.
enum Feature : std::uint64_t { kFeaturePoolImport = 1, kFeatureCascade = 2 };
inline constexpr std::uint64_t kFeatures = kFeaturePoolImport | kFeatureCascade;

enum class Op : std::uint16_t {
  hello = 1, welcome, failure,          // failure answers any request, or ends the session if `request` is 0
  list_models, model_info,              // one model_info per model, then a done
  done,
  open_stream, stream_opened, update_stream, close_stream, stream_changed,
  create_pool, import_pool, pool_created, free_pool,
  submit, release_credit, cancel,       // no answer of their own: verdicts and failures follow
  notice, verdict,
};

struct Header {
  std::uint32_t magic = kMagic;
  std::uint16_t major = kMajor;
  Op op = Op::hello;
  std::uint32_t bytes = 0;    // whole message, header included
  std::uint32_t reserved = 0;
  std::uint64_t request = 0;  // chosen by the client, echoed in the answer; 0 in what nobody asked for
};
static_assert(sizeof(Header) == 24);

using Name = std::array<char, kMaxName>;  // zero-terminated

struct Hello {
  Header header;
  std::uint16_t min_major = kMajor, max_major = kMajor, minor = kMinor, reserved = 0;
  std::uint32_t reserved2 = 0;
  std::uint64_t features = kFeatures;
  std::int64_t now_ns = 0;    // the client's CLOCK_MONOTONIC: another time namespace is refused
  Name client{};              // for display only
};

struct Welcome {
  Header header;
  std::uint16_t major = kMajor, minor = kMinor;
  std::uint32_t credits = 0, max_streams = 0, max_pools = 0;
  std::uint64_t features = 0;
  std::uint64_t generation = 0;  // of this broker: another number means that it was restarted
  std::uint64_t max_pool_bytes = 0;
  std::int64_t now_ns = 0;
};

struct Failure {
  Header header;
  std::int32_t code = 0;       // takt::Code
  std::uint32_t detail = 0;
  std::uint64_t tag = 0;       // of the frame, for a refused submit
  std::uint32_t stream = 0;
  std::uint32_t refused_frame = 0;  // 1: this answers a submit; its credit is back
  std::array<char, 160> text{};
};

struct ListModels { Header header; };
struct Done { Header header; };

struct WireTensorSpec {
  Name name{};
  DType dtype = DType::u8;
  std::uint8_t rank = 0;
  std::array<std::uint8_t, 6> reserved{};
  std::array<std::uint32_t, kMaxRank> dims{};
};
struct WireForm {
  PictureFormat format = PictureFormat::none;
  std::array<std::uint8_t, 3> reserved{};
  std::uint32_t width = 0, height = 0;
};
inline constexpr std::size_t kMaxForms = 16;

struct ModelInfo {
  Header header;
  std::uint32_t model = 0;      // id used in open_stream
  std::uint32_t inputs = 0, outputs = 0, forms = 0, subnets = 0, segments = 0, metrics = 0, ready = 0;
  std::uint64_t result_bytes = 0;
  float best_accuracy = 0, least_accuracy = 0;
  Name name{};
  std::array<WireTensorSpec, kMaxTensors> input{}, output{};
  std::array<WireForm, kMaxForms> form{};
  std::array<Name, 4> metric{};
};
static_assert(sizeof(ModelInfo) <= kMaxMessage);

struct OpenStream {
  Header header;
  std::uint32_t model = 0;
  std::int32_t form = -1;
  std::uint8_t criticality = 2, late = 0, queue = 0, trigger_op = 0;
  std::uint32_t queue_depth = 8;
  std::int64_t period_ns = 0, jitter_ns = 0, relative_deadline_ns = 0;
  float accuracy_floor = 0, accuracy_ceiling = 1;
  std::uint32_t parent = 0xffffffffu;
  std::uint32_t trigger_metric = 0;
  float trigger_threshold = 0;
  std::uint32_t stream = 0xffffffffu;  // update_stream: the stream to change
  Name preset{};                       // not empty: a stream preset of the configuration instead of all the above
  Name name{};                         // for display only
};

struct StreamOpened {
  Header header;
  std::uint32_t stream = 0;
  std::uint8_t outcome = 0;   // takt::Admission::Outcome
  std::uint8_t reason = 0;    // takt::Admission::Reason
  std::uint16_t routes = 0;
  std::uint32_t accelerator = 0xffffffffu;
  std::uint32_t route = 0xffffffffu;
  std::uint32_t model = 0xffffffffu;  // what the stream runs and takes: a client that named a preset cannot know
  std::int32_t form = -1;
  std::int64_t bound_ns = 0, feasible_period_ns = 0;
  std::uint64_t result_bytes = 0;
  Name subnet{};              // hard: the one it runs with; else the most accurate one allowed
  Name accelerator_name{};
};

struct CloseStream { Header header; std::uint32_t stream = 0, reserved = 0; };
struct StreamChanged { Header header; std::uint32_t stream = 0, accelerator = 0; std::uint8_t still_hard = 0; std::array<std::uint8_t, 7> reserved{}; };

enum class PoolKind : std::uint32_t { frames = 1, results = 2 };
struct CreatePool { Header header; PoolKind kind = PoolKind::frames; std::uint32_t reserved = 0; std::uint64_t bytes = 0; };  // import_pool: with one sealed memfd
struct PoolCreated { Header header; std::uint32_t pool = 0, reserved = 0; std::uint64_t bytes = 0; };  // create_pool: with its memfd
struct FreePool { Header header; std::uint32_t pool = 0, reserved = 0; };

// One frame. Followed by `inputs` TensorDesc, nothing else: Header::bytes says how many arrive.
struct Submit {
  Header header;
  std::uint32_t stream = 0;
  std::uint32_t inputs = 0;
  std::uint64_t tag = 0;            // the client's own, echoed in the verdict; unique among its frames in flight
  std::int64_t capture_ns = 0;      // CLOCK_MONOTONIC, for statistics; 0 unknown
  std::int64_t deadline_ns = 0;     // CLOCK_MONOTONIC; 0: the stream's relative deadline
  std::uint32_t result_pool = 0, children = 0;  // children: result areas for cascade children follow the frame's own
  std::uint64_t result_offset = 0;
  std::uint32_t released = 0, reserved = 0;  // credits given back with this frame, as ReleaseCredit would; counted first
};
inline constexpr std::size_t kMaxSubmit = sizeof(Submit) + kMaxTensors * sizeof(TensorDesc);
static_assert(kMaxSubmit <= kMaxMessage);

struct ReleaseCredit { Header header; std::uint32_t count = 1, reserved = 0; };
struct Cancel { Header header; std::uint32_t stream = 0, reserved = 0; std::uint64_t tag = 0; };

struct Notice { Header header; std::uint32_t stream = 0, reserved = 0; std::uint64_t tag = 0; std::int64_t deadline_ns = 0; };

struct VerdictMessage {
  Header header;
  std::uint32_t stream = 0;         // the child's own stream in a cascade
  std::uint8_t verdict = 0;         // takt::Verdict
  std::uint8_t has_result = 0;
  std::uint8_t child_follows = 0;   // one more verdict with this tag will come, on a child stream
  std::uint8_t credits = 1;         // how many credits of the frame end with this verdict; the client releases them
  std::uint64_t tag = 0;
  std::uint64_t result_offset = 0;  // in the frame's result pool
  std::uint32_t subnet = 0xffffffffu;  // position in the model's list
  std::uint32_t accelerator = 0xffffffffu;
  std::int64_t release_ns = 0, start_ns = 0, end_ns = 0, deadline_ns = 0, executed_ns = 0;
  std::uint16_t segments = 0, largest_batch = 0;
  float accuracy = 0;               // of the subnet, as the model states it
  std::array<char, 32> subnet_name{};
};

template <class T>
concept Message = std::is_trivially_copyable_v<T> && std::is_standard_layout_v<T>;
static_assert(Message<Hello> && Message<Welcome> && Message<Failure> && Message<ModelInfo> && Message<OpenStream> &&
              Message<StreamOpened> && Message<CreatePool> && Message<PoolCreated> && Message<Submit> && Message<VerdictMessage>);

}  // namespace takt::wire
