"""How much work the streams are: costs from the measured profile, and a set of streams that makes the wanted load."""

import dataclasses
import math
import xml.etree.ElementTree as xml

TARGET = 0.7            # of capacity, in the nominal phase
SECOND_LOOKS = 0.5      # share of the cascade's frames assumed to go on at full width
NARROW_SHARE = 0.85     # the narrow subnet keeps at least this share of the best accuracy
MAX_BATCH = 8           # what the service is configured for
SOFT_FPS, MOST_CLIENTS, LEAST_FPS = 60.0, 5, 10.0


@dataclasses.dataclass
class Subnet:
    name: str
    accuracy: float
    widths: tuple


@dataclasses.dataclass
class StreamPlan:
    """One application's stream; `child` is the cascade's second stream."""

    name: str
    criticality: str
    fps: float
    deadline_ms: float
    picture: tuple  # format, width, height
    jitter_ms: float = 0.0
    child: str = ""

    def at(self, factor):
        return dataclasses.replace(self, fps=self.fps * factor)

    @property
    def period_ms(self):
        """The least time between two frames that the stream declares: a tenth under the rate's own, so that a stream that
        was late once may come nearer to its schedule again."""
        return 0.9 * 1e3 / self.fps

    @property
    def slots(self):
        """Frames that may be in flight: what the deadline allows and a few for the answers' way back."""
        return min(32, math.ceil(self.fps * self.deadline_ms / 1e3) + 4)


def read_subnets(model_file):
    """The subnets of a model.xml."""
    return [Subnet(e.get("name"), float(e.get("accuracy")), tuple(e.get("widths").split()))
            for e in xml.parse(model_file).getroot().iter("subnet")]


def full_subnet(subnets):
    return max(subnets, key=lambda s: (sum(map(float, s.widths)), s.accuracy))


def narrow_subnet(subnets):
    """The first look of the cascade: the narrowest uniform subnet that keeps most of the accuracy."""
    best = max(s.accuracy for s in subnets)
    uniform = sorted((s for s in subnets if len(set(s.widths)) == 1), key=lambda s: float(s.widths[0]))
    good = [s for s in uniform if s.accuracy >= NARROW_SHARE * best]
    return (good or uniform or [min(subnets, key=lambda s: sum(map(float, s.widths)))])[0]


class Costs:
    """Median times of a profile, by segment, widths and form: of a frame alone, and its share of the best batch."""

    def __init__(self, profile_file):
        self.alone, self.shared = {}, {}
        self.order = []
        for row in xml.parse(profile_file).getroot().iter("cost"):
            key = (row.get("segment"), row.get("in", ""), row.get("out", ""), row.get("form", ""))
            batch, time = int(row.get("batch", "1")), nanoseconds(row.get("p50"))
            if batch == 1:
                self.alone[key] = time
            if batch <= MAX_BATCH:
                self.shared[key] = min(time / batch, self.shared.get(key, math.inf))
            if row.get("segment") not in self.order:
                self.order.append(row.get("segment"))

    def of(self, subnet, form, alone=False):
        """Nanoseconds of a frame: preprocessing of `form`, then one row a segment along the subnet's widths."""
        rows = self.alone if alone else self.shared
        total, before = 0, ""
        widths = iter(subnet.widths)
        for segment in self.order:
            if (segment, "", "", form) in rows:
                total += rows[segment, "", "", form]
            elif not any(key[0] == segment and key[3] for key in rows):
                width = next(widths)
                total += rows[segment, before, width, ""]
                before = width
        return total


def nanoseconds(text):
    for unit, factor in (("ns", 1), ("us", 1e3), ("ms", 1e6), ("s", 1e9)):
        if text.endswith(unit):
            return float(text[: -len(unit)]) * factor
    raise ValueError(f"no duration: {text}")


def form_of(picture):
    return f"{picture[0]}-{picture[1]}x{picture[2]}"


def base_streams():
    small, camera = ("rgb", 32, 32), ("nv12", 1280, 720)
    return [StreamPlan("hard", "hard", 30.0, 33.0, camera, jitter_ms=4.0), StreamPlan("soft", "soft", SOFT_FPS, 33.0, small),
            StreamPlan("cascade", "soft", 15.0, 66.0, small, child="cascade-full")]


def load_of(streams, costs, subnets):
    """Share of all accelerators that the streams ask for at full width: soft frames in the batches that give most frames a
    second, hard ones alone. Below 1 it fits, by the profile. `costs`: one Costs an accelerator."""
    full, narrow = full_subnet(subnets), narrow_subnet(subnets)
    work = 0.0
    for stream in streams:
        form = form_of(stream.picture)
        alone = stream.criticality == "hard"
        mean = lambda subnet, form=form, alone=alone: sum(c.of(subnet, form, alone) for c in costs) / len(costs)
        each = mean(narrow) + SECOND_LOOKS * mean(full) if stream.child else mean(full)
        work += stream.fps * each / 1e9
    return work / len(costs)


def plan_streams(costs, subnets, target=TARGET):
    """The base streams and as many more soft clients as make `target`; fewer soft frames if the base alone is more."""
    streams = base_streams()
    base = load_of(streams, costs, subnets)
    soft = streams[1]
    each = load_of([soft], costs, subnets) / soft.fps  # load of one soft frame a second
    missing = (target - base) / each
    if missing < 0:
        streams[1] = dataclasses.replace(soft, fps=max(LEAST_FPS, soft.fps + missing))
        return streams
    clients = min(MOST_CLIENTS, math.ceil(missing / SOFT_FPS))
    if clients and missing >= LEAST_FPS:
        rate = missing / clients  # equal clients: the last one is no odd remainder
        streams += [dataclasses.replace(soft, name=f"soft-{i + 2}", fps=round(rate, 2)) for i in range(clients)]
    return streams
