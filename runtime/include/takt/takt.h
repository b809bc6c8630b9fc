/* takt.h: the client library's C interface. Link libtakt; C11 and C++.
 *
 * Threads: a takt_client and everything opened through it belong to one thread at a time. No callbacks, no hidden threads.
 * Ownership: handles are freed by their close or release call only; pointers into frames and answers live until then.
 * Times: int64_t nanoseconds on CLOCK_MONOTONIC; names end in _ns. Sizes are bytes.
 * Errors: functions return 0 or a positive count on success and a negative takt_error otherwise;
 * takt_last_error() then says what was wrong and what to do. */
#ifndef TAKT_TAKT_H
#define TAKT_TAKT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TAKT_ABI_VERSION 1
#define TAKT_MAX_TENSORS 8
#define TAKT_MAX_RANK 6
#define TAKT_API __attribute__((visibility("default")))

typedef struct takt_client takt_client;
typedef struct takt_stream takt_stream;
typedef struct takt_frame takt_frame;

typedef enum takt_error {
  TAKT_OK = 0,
  TAKT_E_INVALID = -1,       /* an argument is wrong */
  TAKT_E_NOT_FOUND = -2,     /* no such model, preset or stream */
  TAKT_E_NO_CREDIT = -3,     /* every frame slot of the stream, or every credit of the session, is in use: skip this frame */
  TAKT_E_NO_MEMORY = -4,
  TAKT_E_LIMIT = -5,         /* a quota of the listener or user */
  TAKT_E_DENIED = -6,        /* permissions of the socket or the listener */
  TAKT_E_NOT_ADMITTED = -7,  /* the stream's deadlines cannot be kept; see takt_admission */
  TAKT_E_DISCONNECTED = -8,  /* no broker at the moment; the library reconnects in takt_dispatch() */
  TAKT_E_UNSUPPORTED = -9,
  TAKT_E_PROTOCOL = -10,     /* the broker said something impossible */
  TAKT_E_TIMED_OUT = -11,
  TAKT_E_SYSTEM = -12
} takt_error;

typedef enum takt_dtype { TAKT_U8 = 1, TAKT_I8, TAKT_I16, TAKT_I32, TAKT_I64, TAKT_F16, TAKT_BF16, TAKT_F32, TAKT_F64 } takt_dtype;
typedef enum takt_picture { TAKT_PICTURE_NONE = 0, TAKT_RGB = 1, TAKT_NV12, TAKT_YUYV, TAKT_GRAY } takt_picture;
typedef enum takt_class { TAKT_HARD = 0, TAKT_FIRM, TAKT_SOFT } takt_class;
typedef enum takt_late_rule { TAKT_LATE_ABORT = 0, TAKT_LATE_FINISH } takt_late_rule;
typedef enum takt_queue_rule { TAKT_QUEUE_KEEP = 0, TAKT_QUEUE_NEWEST_WINS, TAKT_QUEUE_DROP_OLDEST } takt_queue_rule;
typedef enum takt_verdict {
  TAKT_DONE = 0,   /* in time, with a result */
  TAKT_LATE,       /* after the deadline, with a result */
  TAKT_MISSED,     /* deadline passed, no result */
  TAKT_DROPPED,    /* given up: it could not be in time, or newer frames needed the place */
  TAKT_SUPERSEDED, /* a newer frame of a newest-wins stream took its place */
  TAKT_CANCELLED,
  TAKT_RESTARTED,  /* lost with a broker that was restarted */
  TAKT_ERROR
} takt_verdict;
#define TAKT_VERDICTS 8

/* One tensor or picture. Pictures: dtype TAKT_U8, rank 2, dims {height, width}, strides[0] = bytes a row or 0 (packed). */
typedef struct takt_tensor {
  takt_dtype dtype;
  takt_picture picture;
  uint32_t rank;
  uint32_t dims[TAKT_MAX_RANK];
  uint32_t strides[TAKT_MAX_RANK]; /* bytes; all 0: packed */
  uint32_t crop[4];                /* pictures: x, y, width, height to look at; all 0: the largest centred square */
} takt_tensor;

typedef struct takt_model_info {
  char name[64];
  uint32_t inputs, outputs, segments, subnets, metrics;
  uint32_t ready; /* 0: known but not loaded on any accelerator yet */
  float best_accuracy, least_accuracy;
  size_t result_bytes;
  takt_tensor input[TAKT_MAX_TENSORS], output[TAKT_MAX_TENSORS]; /* the largest each may be */
  char input_name[TAKT_MAX_TENSORS][64], output_name[TAKT_MAX_TENSORS][64], metric_name[4][64];
} takt_model_info;

typedef struct takt_stream_config {
  uint32_t struct_size;        /* set by takt_stream_config_init() */
  const char* preset;          /* a stream preset of the configuration, or NULL: then the rest counts */
  const char* model;
  const char* name;            /* for displays */
  takt_picture picture;        /* TAKT_PICTURE_NONE: tensors as the model declares them */
  uint32_t width, height;      /* of the picture */
  takt_class criticality;      /* default TAKT_SOFT */
  takt_late_rule late;         /* default TAKT_LATE_ABORT */
  takt_queue_rule queue;       /* default TAKT_QUEUE_KEEP */
  uint32_t queue_depth;        /* waiting frames that drop-oldest keeps, default 8 */
  int64_t period_ns;           /* least time between frames; required for TAKT_HARD */
  int64_t jitter_ns;           /* how late a frame may come against its period */
  int64_t relative_deadline_ns;
  float accuracy_floor, accuracy_ceiling; /* subnets that may answer; default 0 and 1 */
  uint32_t slots;              /* frames that may be in flight, default 4 */
  takt_stream* parent;         /* cascade: frames come from the parent's, nothing is submitted here */
  const char* trigger_metric;  /* NULL: every frame of the parent */
  int trigger_less;            /* 1: fires if metric < threshold, 0: if metric >= threshold */
  float trigger_threshold;
} takt_stream_config;

typedef struct takt_admission {
  enum { TAKT_ACCEPTED = 0, TAKT_LIGHTER, TAKT_REFUSED } outcome;
  enum { TAKT_REASON_NONE = 0, TAKT_REASON_UTILISATION, TAKT_REASON_DEADLINE, TAKT_REASON_NO_ACCELERATOR,
         TAKT_REASON_ACCURACY_FLOOR, TAKT_REASON_NO_CAPACITY, TAKT_REASON_PARENT } reason;
  int64_t bound_ns;            /* hard: admitted worst-case response time */
  int64_t feasible_period_ns;  /* refused: the shortest period that would fit; 0: none */
  char subnet[64];             /* hard: the one it always runs with */
  char accelerator[64];        /* hard: where */
} takt_admission;

typedef struct takt_answer {
  takt_stream* stream;   /* NULL if it was closed meanwhile */
  uint64_t tag;
  int is_notice;         /* 1: deadline passed, still being worked on; the verdict follows. Nothing to release */
  takt_verdict verdict;
  int has_result;
  int child_follows;     /* a cascade child of this frame will answer with the same tag on its stream */
  char subnet[32];
  float accuracy;        /* that the model states for the subnet */
  uint32_t accelerator;
  int64_t release_ns, start_ns, end_ns, deadline_ns, executed_ns; /* end_ns: when the broker learned of it */
  uint32_t segments, largest_batch;
  takt_frame* frame;     /* its memory; inputs may be read until the release */
} takt_answer;

TAKT_API int takt_abi_version(void);
TAKT_API int64_t takt_now_ns(void); /* CLOCK_MONOTONIC */
TAKT_API const char* takt_error_name(int error);
TAKT_API const char* takt_verdict_name(takt_verdict verdict);

/* Connects to `path` (NULL: $TAKT_SOCKET, else /run/takt/takt.sock). `name` is for displays. Blocks at most 5 s. */
TAKT_API int takt_connect(const char* path, const char* name, takt_client** out);
TAKT_API void takt_disconnect(takt_client* client); /* frees every stream, frame and answer of it */
TAKT_API const char* takt_last_error(const takt_client* client); /* of the last failed call; never NULL. client NULL: of
                                                                    this thread's last failed takt_connect() */
TAKT_API int takt_is_connected(const takt_client* client);
TAKT_API uint64_t takt_generation(const takt_client* client); /* changes when the broker was restarted */

/* A descriptor that is readable when takt_dispatch() has something to do, also while reconnecting. */
TAKT_API int takt_fd(const takt_client* client);
/* Takes in what the broker sent, reconnects when due. Waits up to timeout_ms (0: never, -1: for ever) until something came.
 * Returns the number of answers waiting in takt_next_answer(). */
TAKT_API int takt_dispatch(takt_client* client, int timeout_ms);

TAKT_API int takt_model_count(const takt_client* client);
TAKT_API int takt_model(const takt_client* client, int index, takt_model_info* out);

TAKT_API void takt_stream_config_init(takt_stream_config* config);
/* Opens a stream and makes its buffers. `admission` may be NULL. TAKT_E_NOT_ADMITTED: nothing was opened. Blocks. */
TAKT_API int takt_stream_open(takt_client* client, const takt_stream_config* config, takt_stream** out, takt_admission* admission);
/* Changes period, jitter, deadline, class, late and queue rule, accuracy bounds; on refusal the stream stays as it was. Blocks. */
TAKT_API int takt_stream_update(takt_stream* stream, const takt_stream_config* config, takt_admission* admission);
/* How the stream stands now, which a restarted broker or a lost accelerator can change. TAKT_REFUSED: a hard stream runs
 * without its guarantee; or, if TAKT_E_NOT_ADMITTED is returned, a restarted broker did not take the stream over and
 * takt_stream_update() asks again. Never blocks. */
TAKT_API int takt_stream_admission(const takt_stream* stream, takt_admission* out);
TAKT_API void takt_stream_close(takt_stream* stream); /* its frames in flight are answered cancelled, or finish */
/* What it runs and takes, which a preset decides: the model's name, and input `index` as its frames are described unless
 * takt_frame_describe() says otherwise. Valid until the stream is closed. */
TAKT_API const char* takt_stream_model(const takt_stream* stream);
TAKT_API int takt_stream_input(const takt_stream* stream, uint32_t index, takt_tensor* out);
TAKT_API void takt_stream_set_user(takt_stream* stream, void* user);
TAKT_API void* takt_stream_user(const takt_stream* stream);

/* A free frame slot, or TAKT_E_NO_CREDIT. Never blocks. */
TAKT_API int takt_frame_begin(takt_stream* stream, takt_frame** out);
/* Where to write input `index`; `bytes` is the room. Written directly into memory that the executors read. */
TAKT_API void* takt_frame_input(takt_frame* frame, uint32_t index, size_t* bytes);
/* Another shape, stride or crop than the stream's for this frame; checked against the room. */
TAKT_API int takt_frame_describe(takt_frame* frame, uint32_t index, const takt_tensor* tensor);
/* Hands the frame in: it will be answered exactly once. deadline_ns 0: now + relative deadline. Never blocks; on error the
 * frame is still the caller's. */
TAKT_API int takt_frame_submit(takt_frame* frame, uint64_t tag, int64_t capture_ns, int64_t deadline_ns);
TAKT_API void takt_frame_discard(takt_frame* frame); /* gives an unsubmitted frame back */
TAKT_API int takt_frame_cancel(takt_frame* frame);   /* the verdict says whether it came in time */

/* The next answer or notice: 1, or 0 if none waits. Never blocks. */
TAKT_API int takt_next_answer(takt_client* client, takt_answer* out);
/* Output `index` of an answer with a result; data stay valid until the release. */
TAKT_API int takt_answer_output(const takt_answer* answer, uint32_t index, takt_tensor* tensor, const void** data, size_t* bytes);
/* Gives the frame slot and its credit back. Once for every verdict, not for notices. */
TAKT_API void takt_answer_release(takt_client* client, takt_answer* answer);

#ifdef __cplusplus
}
#endif
#endif
