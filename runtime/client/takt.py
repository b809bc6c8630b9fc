"""takt from Python: frames in, answers with deadlines out. One file; needs numpy and libtakt.so.

A client, its streams and answers belong to one thread at a time. Arrays of frames and answers are views of shared memory:
those of a frame live until it is handed in, those of an answer until it is released. Copy what you want to keep.
"""

import asyncio
import ctypes
import enum
import math
import os
import re
import time
from ctypes import POINTER, byref, c_char, c_char_p, c_float, c_int, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

import numpy as np

__all__ = ["Client", "Stream", "Frame", "Answer", "Model", "Tensor", "Admission", "Verdict",
           "Error", "NotAdmitted", "NoCredit", "Disconnected"]

# --------------------------------------------------------------------------------------------------------- the C interface

_DTYPES = [None, np.uint8, np.int8, np.int16, np.int32, np.int64, np.float16, np.uint16, np.float32, np.float64]
_PICTURES = ["none", "rgb", "nv12", "yuyv", "gray"]
_CLASSES = ["hard", "firm", "soft"]
_LATE_RULES = ["abort", "finish"]
_QUEUE_RULES = ["keep", "newest_wins", "drop_oldest"]
_OUTCOMES = ["accepted", "lighter", "refused"]
_REASONS = ["none", "utilisation", "deadline", "no_accelerator", "accuracy_floor", "no_capacity", "parent"]
_NO_CREDIT, _NOT_ADMITTED, _DISCONNECTED = -3, -7, -8
_MS = 1_000_000  # nanoseconds


class _Tensor(ctypes.Structure):
    _fields_ = [("dtype", c_int), ("picture", c_int), ("rank", c_uint32), ("dims", c_uint32 * 6),
                ("strides", c_uint32 * 6), ("crop", c_uint32 * 4)]


class _ModelInfo(ctypes.Structure):
    _fields_ = [("name", c_char * 64), ("inputs", c_uint32), ("outputs", c_uint32), ("segments", c_uint32),
                ("subnets", c_uint32), ("metrics", c_uint32), ("ready", c_uint32), ("best_accuracy", c_float),
                ("least_accuracy", c_float), ("result_bytes", c_size_t), ("input", _Tensor * 8), ("output", _Tensor * 8),
                ("input_name", (c_char * 64) * 8), ("output_name", (c_char * 64) * 8), ("metric_name", (c_char * 64) * 4)]


class _StreamConfig(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("preset", c_char_p), ("model", c_char_p), ("name", c_char_p),
                ("picture", c_int), ("width", c_uint32), ("height", c_uint32), ("criticality", c_int), ("late", c_int),
                ("queue", c_int), ("queue_depth", c_uint32), ("period_ns", c_int64), ("jitter_ns", c_int64),
                ("relative_deadline_ns", c_int64), ("accuracy_floor", c_float), ("accuracy_ceiling", c_float),
                ("slots", c_uint32), ("parent", c_void_p), ("trigger_metric", c_char_p), ("trigger_less", c_int),
                ("trigger_threshold", c_float)]


class _Admission(ctypes.Structure):
    _fields_ = [("outcome", c_int), ("reason", c_int), ("bound_ns", c_int64), ("feasible_period_ns", c_int64),
                ("subnet", c_char * 64), ("accelerator", c_char * 64)]


class _Answer(ctypes.Structure):
    _fields_ = [("stream", c_void_p), ("tag", c_uint64), ("is_notice", c_int), ("verdict", c_int), ("has_result", c_int),
                ("child_follows", c_int), ("subnet", c_char * 32), ("accuracy", c_float), ("accelerator", c_uint32),
                ("release_ns", c_int64), ("start_ns", c_int64), ("end_ns", c_int64), ("deadline_ns", c_int64),
                ("executed_ns", c_int64), ("segments", c_uint32), ("largest_batch", c_uint32), ("frame", c_void_p)]


_SIGNATURES = {
    "takt_abi_version": (c_int, []),
    "takt_error_name": (c_char_p, [c_int]),
    "takt_connect": (c_int, [c_char_p, c_char_p, POINTER(c_void_p)]),
    "takt_disconnect": (None, [c_void_p]),
    "takt_last_error": (c_char_p, [c_void_p]),
    "takt_is_connected": (c_int, [c_void_p]),
    "takt_generation": (c_uint64, [c_void_p]),
    "takt_fd": (c_int, [c_void_p]),
    "takt_dispatch": (c_int, [c_void_p, c_int]),
    "takt_model_count": (c_int, [c_void_p]),
    "takt_model": (c_int, [c_void_p, c_int, POINTER(_ModelInfo)]),
    "takt_stream_config_init": (None, [POINTER(_StreamConfig)]),
    "takt_stream_open": (c_int, [c_void_p, POINTER(_StreamConfig), POINTER(c_void_p), POINTER(_Admission)]),
    "takt_stream_update": (c_int, [c_void_p, POINTER(_StreamConfig), POINTER(_Admission)]),
    "takt_stream_close": (None, [c_void_p]),
    "takt_stream_admission": (c_int, [c_void_p, POINTER(_Admission)]),
    "takt_stream_model": (c_char_p, [c_void_p]),
    "takt_stream_input": (c_int, [c_void_p, c_uint32, POINTER(_Tensor)]),
    "takt_frame_begin": (c_int, [c_void_p, POINTER(c_void_p)]),
    "takt_frame_input": (c_void_p, [c_void_p, c_uint32, POINTER(c_size_t)]),
    "takt_frame_submit": (c_int, [c_void_p, c_uint64, c_int64, c_int64]),
    "takt_frame_discard": (None, [c_void_p]),
    "takt_frame_cancel": (c_int, [c_void_p]),
    "takt_next_answer": (c_int, [c_void_p, POINTER(_Answer)]),
    "takt_answer_output": (c_int, [POINTER(_Answer), c_uint32, POINTER(_Tensor), POINTER(c_void_p), POINTER(c_size_t)]),
    "takt_answer_release": (None, [c_void_p, POINTER(_Answer)]),
}
# These may wait, so they let other threads run; for the others that would cost more than the call.
_WAITING = {"takt_connect", "takt_disconnect", "takt_dispatch", "takt_stream_open", "takt_stream_update",
            "takt_stream_close"}


def _load():
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "libtakt.so")
    path = os.environ.get("TAKT_LIBRARY") or (beside if os.path.exists(beside) else "libtakt.so.0")
    waiting, quick = ctypes.CDLL(path), ctypes.PyDLL(path)
    functions = {}
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(waiting if name in _WAITING else quick, name)
        function.restype, function.argtypes = result, arguments
        functions[name[len("takt_"):]] = function
    config = _StreamConfig()
    functions["stream_config_init"](config)
    if functions["abi_version"]() != 1 or config.struct_size != ctypes.sizeof(config):
        raise ImportError(f"{path} has another version of the interface than takt.py")
    return type("_Library", (), {name: staticmethod(function) for name, function in functions.items()})


_c = _load()
_begin, _input, _submit, _discard = _c.frame_begin, _c.frame_input, _c.frame_submit, _c.frame_discard
_next_answer, _output, _release = _c.next_answer, _c.answer_output, _c.answer_release

# --------------------------------------------------------------------------------------------------------- errors and words


class Error(Exception):
    """What went wrong and what to do. `code` is the takt_error."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


class NotAdmitted(Error):
    """The stream's deadlines cannot be kept; `admission` says why and what would be possible."""

    admission = None


class NoCredit(Error):
    """Every frame slot or credit is in use: skip this frame."""


class Disconnected(Error):
    """No broker at the moment. Taking answers reconnects."""


class Verdict(enum.IntEnum):
    DONE = 0        # in time, with a result
    LATE = 1        # after the deadline, with a result
    MISSED = 2      # deadline passed, no result
    DROPPED = 3     # given up
    SUPERSEDED = 4  # a newer frame took its place
    CANCELLED = 5
    RESTARTED = 6   # lost with a broker that was restarted
    ERROR = 7


_VERDICTS = tuple(Verdict)
_ERRORS = {_NO_CREDIT: NoCredit, _NOT_ADMITTED: NotAdmitted, _DISCONNECTED: Disconnected}


def _raise(code, client):
    text = (_c.last_error(client) or b"").decode(errors="replace")
    raise _ERRORS.get(code, Error)(code, text)


def _word(words, given, what):
    try:
        return words.index(given)
    except ValueError:
        raise ValueError(f"{what} {given!r} is none of {', '.join(words)}") from None


def _text(raw):
    return raw.decode(errors="replace")


# ------------------------------------------------------------------------------------------------------------------ shapes


class Tensor:
    """What an input or output is: dtype and shape as numpy has them, and the picture format or "none"."""

    __slots__ = ("dtype", "shape", "picture")

    def __init__(self, raw):
        self.dtype = np.dtype(_DTYPES[raw.dtype] or np.uint8)
        self.picture = _PICTURES[raw.picture]
        self.shape = tuple(raw.dims[:raw.rank])
        if raw.picture:
            height, width = self.shape
            self.shape = {"rgb": (height, width, 3), "nv12": (height * 3 // 2, width), "yuyv": (height, width, 2),
                          "gray": (height, width)}[self.picture]

    def __repr__(self):
        return f"Tensor({self.dtype.name}, {self.shape}" + (f", {self.picture})" if self.picture != "none" else ")")


class Model:
    """A model of the broker: `inputs` and `outputs` are dictionaries of the largest Tensor each may be."""

    def __init__(self, raw):
        self.name = _text(raw.name)
        self.inputs = {_text(raw.input_name[i].value): Tensor(raw.input[i]) for i in range(raw.inputs)}
        self.outputs = {_text(raw.output_name[i].value): Tensor(raw.output[i]) for i in range(raw.outputs)}
        self.metrics = [_text(raw.metric_name[i].value) for i in range(raw.metrics)]
        self.subnets, self.segments, self.ready = raw.subnets, raw.segments, bool(raw.ready)
        self.least_accuracy, self.best_accuracy = raw.least_accuracy, raw.best_accuracy

    def __repr__(self):
        return f"Model({self.name!r}, inputs={self.inputs}, outputs={self.outputs})"


class Admission:
    """How a stream stands. outcome: accepted, lighter (an admitted lighter subnet) or refused."""

    def __init__(self, raw):
        self.outcome, self.reason = _OUTCOMES[raw.outcome], _REASONS[raw.reason]
        self.bound_ms, self.feasible_period_ms = raw.bound_ns / _MS, raw.feasible_period_ns / _MS
        self.subnet, self.accelerator = _text(raw.subnet), _text(raw.accelerator)

    def __repr__(self):
        return f"Admission({self.outcome}, {self.reason}, subnet={self.subnet!r}, accelerator={self.accelerator!r})"


def _view(address, size, dtype, shape, strides=None):
    memory = (c_char * size).from_address(address) if size else b""
    return np.ndarray(shape, dtype, memory, 0, strides)


def _output_view(raw, address, size):
    shape = tuple(raw.dims[:raw.rank])
    strides = tuple(raw.strides[:raw.rank])
    view = _view(address, size, _DTYPES[raw.dtype], shape, strides if any(strides) else None)
    view.flags.writeable = False
    return view


# ----------------------------------------------------------------------------------------------------------------- answers


class Answer:
    """A verdict with its result, or a notice that the deadline passed and the verdict is still to come."""

    __slots__ = ("_client", "_raw", "_outputs", "stream", "tag", "verdict", "is_notice", "has_result")

    def __init__(self, client, raw):
        self._client, self._raw, self._outputs = client, raw, None
        self.stream = client._streams.get(raw.stream)  # None if it was closed meanwhile
        self.tag, self.verdict = raw.tag, _VERDICTS[raw.verdict]
        self.is_notice, self.has_result = bool(raw.is_notice), bool(raw.has_result)

    subnet = property(lambda self: _text(self._raw.subnet))
    accuracy = property(lambda self: self._raw.accuracy, doc="that the model states for the subnet")
    accelerator = property(lambda self: self._raw.accelerator)
    child_follows = property(lambda self: bool(self._raw.child_follows))
    release_ns = property(lambda self: self._raw.release_ns)
    start_ns = property(lambda self: self._raw.start_ns)
    end_ns = property(lambda self: self._raw.end_ns)
    deadline_ns = property(lambda self: self._raw.deadline_ns)
    executed_ns = property(lambda self: self._raw.executed_ns)
    segments = property(lambda self: self._raw.segments)
    largest_batch = property(lambda self: self._raw.largest_batch)
    response_ms = property(lambda self: (self._raw.end_ns - self._raw.release_ns) / _MS)

    @property
    def outputs(self):
        """Arrays by the model's names, read-only, until the release; empty without a result."""
        if self._outputs is None:
            names = self.stream.output_names if self.stream is not None else range(8)
            self._outputs = {name: self.output(i) for i, name in enumerate(names)} if self.has_result else {}
        return self._outputs

    def output(self, index):
        """The array of output `index`, None if the result has no such output."""
        client = self._client
        if not self._raw.frame or not client._handle:
            raise ValueError("the answer was released")
        raw, address, size = client._tensor, client._address, client._size
        code = _output(self._raw, index, byref(raw), byref(address), byref(size))
        if code == -2:
            return None
        if code < 0:
            _raise(code, client._handle)
        key = (address.value, bytes(raw))
        view = client._views.get(key)
        if view is None:
            if len(client._views) > 4096:
                client._views.clear()
            view = client._views[key] = _output_view(raw, address.value, size.value)
        return view

    def input(self, index=0):
        """The frame's input, still there until the release. Of a cascade: of the stream it was submitted to."""
        stream = self.stream
        while stream is not None and stream.parent is not None:
            stream = stream.parent
        return stream._input_view(self._raw.frame, index) if stream is not None and self._raw.frame else None

    def release(self):
        """Gives the frame slot and its credit back. Done by answers() before the next one, and by `with answer:`."""
        if self._client._handle and self._raw.frame:
            self._outputs = None
            _release(self._client._handle, self._raw)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release()

    def __repr__(self):
        what = "notice" if self.is_notice else self.verdict.name.lower()
        return f"Answer({what}, tag={self.tag}, subnet={self.subnet!r}, response_ms={self.response_ms:.3f})"


# ------------------------------------------------------------------------------------------------------- frames and streams


class Frame:
    """A frame slot to write into: `with stream.frame() as f: f.input(0)[...] = picture` hands it in at the end."""

    __slots__ = ("_stream", "_handle", "tag", "deadline_ms", "capture_ns")

    def __init__(self, stream, handle, tag, deadline_ms, capture_ns):
        self._stream, self._handle = stream, handle
        self.tag, self.deadline_ms, self.capture_ns = tag, deadline_ms, capture_ns

    def input(self, index=0):
        """The array that the executors will read."""
        return self._stream._input_view(self._open_handle(), index)

    def submit(self):
        """Hands it in. Raises Error; then the frame is still here."""
        code = self._stream._try_hand_in(self._open_handle(), self.tag, self.deadline_ms, self.capture_ns)
        if code < 0:
            _raise(code, self._stream.client._handle)
        self._handle = None

    def discard(self):
        handle, self._handle = self._handle, None
        if handle and self._stream._handle:
            _discard(handle)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None and self._handle:
                self.submit()
        finally:
            self.discard()  # nothing if it was handed in

    def _open_handle(self):
        if not self._handle or not self._stream._handle:
            raise ValueError("the frame was handed in, or its stream closed")
        return self._handle


class Stream:
    """A source of frames for one model. Made by Client.open()."""

    def __init__(self, client, handle, parent):
        self.client, self.parent, self._handle = client, parent, handle
        self._frame, self._tag = c_void_p(), 0
        self.model = _text(_c.stream_model(handle))
        self.output_names = list(client.models[self.model].outputs)
        self.inputs, self._views = [], {}
        raw = _Tensor()
        while parent is None and len(self.inputs) < 8 and _c.stream_input(handle, len(self.inputs), byref(raw)) == 0:
            self.inputs.append(Tensor(raw))

    @property
    def admission(self):
        """As it holds now: a restarted broker or a lost accelerator can change it."""
        raw = _Admission()
        _c.stream_admission(self._open_handle(), byref(raw))
        return Admission(raw)

    def submit(self, *arrays, tag=None, deadline_ms=None, capture_ns=0):
        """Copies one array (or bytes) for each input and hands the frame in. False: skipped, because no slot or credit is
        free or no broker is there at the moment. `deadline_ms` counts from now; None: as the stream says."""
        code = _begin(self._handle, self._frame)
        if code < 0:
            return self._skipped(code)
        handle = self._frame.value
        try:
            if len(arrays) != len(self.inputs):
                raise ValueError(f"{self.model} takes {len(self.inputs)} inputs, not {len(arrays)}")
            for i, array in enumerate(arrays):
                self._fill(self._input_view(handle, i), array)
            code = self._try_hand_in(handle, tag, deadline_ms, capture_ns)
        except BaseException:
            _discard(handle)
            raise
        if code < 0:
            _discard(handle)
            return self._skipped(code)
        return True

    def frame(self, tag=None, deadline_ms=None, capture_ns=0):
        """A free slot to write into without a copy. Raises NoCredit or Disconnected where submit() says False."""
        code = _begin(self._open_handle(), self._frame)
        if code < 0:
            _raise(code, self.client._handle)
        return Frame(self, self._frame.value, tag, deadline_ms, capture_ns)

    def update(self, **rules):
        """Other period, deadline, class, rules or accuracy bounds, as in Client.open(); all others fall to defaults."""
        raw = _Admission()
        code = _c.stream_update(self._open_handle(), byref(self.client._config(None, **rules)), byref(raw))
        if code < 0:
            self.client._refuse(code, raw)
        return Admission(raw)

    def close(self):
        """Its frames in flight are answered cancelled, or finish."""
        handle, self._handle = self._handle, None
        if handle:
            del self.client._streams[handle]
            _c.stream_close(handle)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __repr__(self):
        return f"Stream({self.model!r}, inputs={self.inputs})"

    def _open_handle(self):
        if not self._handle:
            raise ValueError("the stream is closed")
        return self._handle

    def _skipped(self, code):
        if code in (_NO_CREDIT, _DISCONNECTED):
            return False
        self._open_handle()
        _raise(code, self.client._handle)

    def _try_hand_in(self, handle, tag, deadline_ms, capture_ns):
        if tag is None:
            tag, self._tag = self._tag, self._tag + 1
        deadline_ns = 0 if deadline_ms is None else time.monotonic_ns() + int(deadline_ms * _MS)
        return _submit(handle, tag, capture_ns, deadline_ns)

    def _input_view(self, handle, index):
        if not 0 <= index < len(self.inputs):
            raise IndexError(f"{self.model} has inputs 0 to {len(self.inputs) - 1}")
        size = self.client._size
        address = _input(handle, index, size)
        view = self._views.get((address, index))
        if view is None:  # kept by address: memory may be another after a restart of the broker
            tensor = self.inputs[index]
            view = self._views[address, index] = _view(address, size.value, tensor.dtype, tensor.shape)
        return view

    @staticmethod
    def _fill(view, given):
        if not isinstance(given, np.ndarray):
            given = np.frombuffer(given, view.dtype) if isinstance(given, (bytes, bytearray, memoryview)) else np.asarray(given)
        if given.shape != view.shape:
            if given.size != view.size:
                raise ValueError(f"an array of shape {given.shape} for an input of shape {view.shape}")
            given = given.reshape(view.shape)
        np.copyto(view, given, casting="same_kind")


# ------------------------------------------------------------------------------------------------------------------ client


class Client:
    """A connection to the broker. `path` None: $TAKT_SOCKET, else /run/takt/takt.sock. Raises Error."""

    def __init__(self, path=None, name="python"):
        handle = c_void_p()
        code = _c.connect(os.fsencode(path) if path is not None else None, name.encode(), byref(handle))
        self._handle, self._streams, self._views = handle.value, {}, {}
        self._tensor, self._address, self._size = _Tensor(), c_void_p(), c_size_t()
        if code < 0:
            _raise(code, None)

    models = property(lambda self: {m.name: m for m in map(self._model, range(_c.model_count(self._open_handle())))},
                      doc="Model by name, as the broker told when the connection was made.")
    connected = property(lambda self: bool(self._handle and _c.is_connected(self._handle)))
    generation = property(lambda self: _c.generation(self._open_handle()), doc="Changes with a restarted broker.")

    def open(self, model=None, *, parent=None, **rules):
        """Opens a stream of `model`, or of a preset= of the configuration. picture="nv12" (rgb, yuyv, gray) with width= and
        height=; none: tensors. fps= or period_ms=, jitter_ms=, deadline_ms=, criticality= hard, firm or soft, late= abort
        or finish, queue= keep, newest_wins or drop_oldest, queue_depth=, accuracy_floor=, accuracy_ceiling=, slots=, name=.
        A cascade child has a parent= stream and trigger="metric < 0.6" (or >=). Raises NotAdmitted with .admission."""
        config = self._config(model, **rules)
        config.parent = parent._open_handle() if parent is not None else None
        handle, raw = c_void_p(), _Admission()
        code = _c.stream_open(self._open_handle(), byref(config), byref(handle), byref(raw))
        if code < 0:
            self._refuse(code, raw)
        stream = self._streams[handle.value] = Stream(self, handle.value, parent)
        return stream

    def next_answer(self, timeout=0, notices=False):
        """The next answer, which the caller releases; None if none came for `timeout` seconds (None: waits for ever)."""
        handle, until = self._open_handle(), None
        while True:
            raw = _Answer()
            if _next_answer(handle, raw):
                if notices or not raw.is_notice:
                    return Answer(self, raw)
                continue
            left = -1
            if timeout is not None:
                until = until or time.monotonic() + timeout
                left = max(0, math.ceil((until - time.monotonic()) * 1000)) if timeout > 0 else 0
            if _c.dispatch(handle, left) == 0 and left == 0:
                return None

    def answers(self, timeout=None, notices=False):
        """Yields answers as they come and releases each before the next (unless it was released already), so keep the
        iterator; for one answer there is next_answer(). Ends when none came for `timeout` seconds; 0: takes what is there;
        None: never. Notices only if asked for."""
        while self._handle:
            answer = self.next_answer(timeout, notices)
            if answer is None:
                return
            try:
                yield answer
            finally:
                answer.release()

    async def answers_async(self, notices=False):
        """The same for asyncio, without an end: `async for answer in client.answers_async():`"""
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self.fileno(), ready.set)
        try:
            while self._handle:
                ready.clear()
                for answer in self.answers(timeout=0, notices=notices):
                    yield answer
                await ready.wait()
        finally:
            loop.remove_reader(self.fileno())

    def fileno(self):
        """Readable when there is something to take, also while reconnecting: then use answers(timeout=0)."""
        return _c.fd(self._open_handle())

    def close(self):
        """Frees every stream, frame and answer: their arrays must not be used any more."""
        handle, self._handle = self._handle, None
        if handle:
            for stream in self._streams.values():
                stream._handle = None
            self._streams.clear()
            self._views.clear()
            _c.disconnect(handle)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        if getattr(self, "_handle", None):
            self.close()

    def _open_handle(self):
        if not self._handle:
            raise ValueError("the client is closed")
        return self._handle

    def _model(self, index):
        raw = _ModelInfo()
        _c.model(self._handle, index, byref(raw))
        return Model(raw)

    def _refuse(self, code, raw):
        try:
            _raise(code, self._handle)
        except NotAdmitted as refused:
            refused.admission = Admission(raw)
            raise

    @staticmethod
    def _config(model, *, preset=None, name=None, picture="none", width=0, height=0, fps=None, period_ms=None, jitter_ms=0,
                deadline_ms=0, criticality="soft", late="abort", queue="keep", queue_depth=8, accuracy_floor=0.0,
                accuracy_ceiling=1.0, slots=4, trigger=None):
        config = _StreamConfig()
        _c.stream_config_init(byref(config))
        if fps is not None and period_ms is not None:
            raise ValueError("fps and period_ms say the same thing: give one")
        period_ms = 1000 / fps if fps else period_ms or 0
        config.preset, config.model, config.name = (text.encode() if text else None for text in (preset, model, name))
        config.picture = _word(_PICTURES, picture or "none", "picture")
        config.width, config.height = width, height
        config.criticality = _word(_CLASSES, criticality, "criticality")
        config.late, config.queue = _word(_LATE_RULES, late, "late"), _word(_QUEUE_RULES, queue, "queue")
        config.queue_depth, config.slots = queue_depth, slots
        config.period_ns, config.jitter_ns = round(period_ms * _MS), round(jitter_ms * _MS)
        config.relative_deadline_ns = round(deadline_ms * _MS)
        config.accuracy_floor, config.accuracy_ceiling = accuracy_floor, accuracy_ceiling
        if trigger is not None:
            parts = re.fullmatch(r"\s*(\S+)\s*(<|>=)\s*(\S+)\s*", trigger)
            if not parts:
                raise ValueError(f"trigger {trigger!r} is not like 'metric < 0.6' or 'metric >= 0.5'")
            config.trigger_metric, config.trigger_less = parts[1].encode(), int(parts[2] == "<")
            config.trigger_threshold = float(parts[3])
        return config
