"""The report's charts as SVG text. Each function takes plain numbers and returns one <svg> element."""

import html
import math

import answers

INK, QUIET, RULE, GRID, BAD = "#1b1f24", "#5b6470", "#c9ced6", "#e8ebef", "#a4133c"
# Okabe and Ito's palette, darkened where text must be read on it: told apart with every kind of colour vision.
STREAM_COLOURS = {"hard": "#0b5fa5", "soft": "#e69f00", "cascade": "#009e73", "cascade-full": "#9b5094"}
PHASE_COLOURS = {"nominal": "#1b1f24", "overload": "#d1660a", "fault": "#2b7bba"}
WIDTH_COLOURS = ("#08306b", "#2171b5", "#6baed6", "#b5d4ea", "#e3eef8")  # full width dark, narrow light
WIDTH_BANDS = ((1.0, "full width"), (0.75, "0.75 or more"), (0.5, "0.5 to 0.75"), (0.3, "0.3 to 0.5"), (0.0, "under 0.3"))

BATCH_COLOURS = ("#3b3355", "#5d5280", "#9d94bd", "#cdc8de", "#ebe9f2")  # alone dark, many together light
BATCH_BANDS = ((9, "over 8"), (5, "5 to 8"), (3, "3 or 4"), (2, "2"), (1, "alone"))


def colour_of(stream):
    """soft-2, soft-3 ... are clients like soft."""
    if stream in STREAM_COLOURS:
        return STREAM_COLOURS[stream]
    return STREAM_COLOURS.get(stream.split("-")[0], "#7f7f7f")


def tag(name, content=None, **attributes):
    """One element; `_` in attribute names stands for `-`."""
    parts = [name] + [f'{key.rstrip("_").replace("_", "-")}="{html.escape(number(value))}"'
                      for key, value in attributes.items() if value is not None]
    return f"<{' '.join(parts)}/>" if content is None else f"<{' '.join(parts)}>{content}</{name}>"


def number(value):
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def text(x, y, content, size=12, colour=INK, anchor="start", weight=None):
    return tag("text", html.escape(str(content)), x=float(x), y=float(y), font_size=size, fill=colour, text_anchor=anchor,
               font_weight=weight)


def rect(x, y, width, height, fill, title=None, **more):
    content = None if title is None else tag("title", html.escape(title))
    return tag("rect", content, x=float(x), y=float(y), width=float(max(width, 0)), height=float(height), fill=fill, **more)


def line(x1, y1, x2, y2, stroke=RULE, width=1.0, dash=None):
    return tag("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), stroke=stroke, stroke_width=width,
               stroke_dasharray=dash)


def svg(width, height, parts, label):
    return tag("svg", "".join(parts), viewBox=f"0 0 {width} {height}", width=width, height=height, role="img",
               aria_label=label, xmlns="http://www.w3.org/2000/svg")


def duration(ns):
    """A length of time in three digits."""
    if not ns:
        return "-"
    for unit, name in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
        if ns >= unit:
            value = ns / unit
            return f"{value:.3g} {name}" if value < 999.5 else f"{value:.0f} {name}"
    return f"{ns:.0f} ns"


def percent(value, digits=1):
    """A share as text; what is not quite everything never reads 100."""
    if value is None:
        return "-"
    if value == 1 or value == 0:
        return f"{value * 100:.0f} %"
    shown = min(round(value * 100, digits), 100 - 10**-digits)
    return f"{shown:.{digits}f} %"


# ---- what the accelerators ran

LEFT, RIGHT_PAD, LANE, STRIP = 58, 30, 26, 20


def timeline(boxes, accelerators, window, span, bins=240, kill=None, events=(), width=1200):
    """A close view of `window` (start_ns, end_ns), one lane an accelerator, over a strip of the whole `span`."""
    inner = width - LEFT - RIGHT_PAD
    parts, y = [], 18
    start, end = window
    close = lambda t: LEFT + (min(max(t, start), end) - start) / (end - start) * inner
    for name in accelerators:
        parts.append(text(LEFT - 8, y + LANE / 2 + 4, name, 12, INK, "end", 600))
        parts.append(rect(LEFT, y, inner, LANE, "#f5f6f8"))
        visible = [b for b in boxes if b.accelerator == name and b.end_ns > start and b.start_ns < end]
        parts += lane_boxes(visible, close, y)
        parts += down_spans(events, name, close, y, end)
        y += LANE + 5
    parts += time_axis(LEFT, y, inner, window, start if kill is None else kill[0])
    if kill and start <= kill[0] <= end:
        parts += kill_mark(close(kill[0]), 18, y, f"{kill[1]} killed")
    y += 40
    parts.append(text(LEFT, y - 7, "the entire phase, share of time busy", 11, QUIET))
    whole = lambda t: LEFT + (t - span[0]) / (span[1] - span[0]) * inner
    top = y
    for name in accelerators:
        parts.append(text(LEFT - 8, y + STRIP / 2 + 4, name, 11, QUIET, "end"))
        parts += density(boxes, name, span, bins, LEFT, y, inner)
        y += STRIP + 4
    if kill:
        parts.append(line(whole(kill[0]), top - 1, whole(kill[0]), y - 3, BAD, 2.0))
    parts += [rect(whole(start), top - 1, max(2.0, whole(end) - whole(start)), y - top - 2, "none", stroke=INK, stroke_width=1.2)]
    parts.append(text(min(whole(end) + 4, width - 130), y + 11, "\u2191 shown above", 11, INK))
    return svg(width, y + 16, parts, "Segments that each accelerator ran")


def lane_boxes(boxes, x_of, y):
    """Soft work as full boxes; hard work on top, for it takes the core while it runs."""
    parts, seen = [], set()
    for box in sorted(boxes, key=lambda b: (b.stream == "hard", b.start_ns)):
        key = (box.start_ns, box.end_ns)
        if key in seen:
            continue  # another job of the same batch
        seen.add(key)
        left, right = x_of(box.start_ns), x_of(box.end_ns)
        what = f"{box.stream}, segment {box.segment}, {box.subnet}, {duration(box.end_ns - box.start_ns)}"
        parts.append(rect(left, y, max(0.6, right - left - 0.4), LANE, colour_of(box.stream), what))
    return parts


def down_spans(events, accelerator, x_of, y, end):
    parts, since = [], None
    for time_ns, kind, name in sorted(events) + [(end, "up", accelerator)]:
        if name != accelerator:
            continue
        if kind == "down":
            since = time_ns
        elif since is not None:
            left, right = x_of(since), x_of(time_ns)
            if right - left > 1:
                parts.append(rect(left, y, right - left, LANE, "#ffffff", stroke=BAD, stroke_dasharray="3 3"))
            if right - left > 150:
                parts.append(text((left + right) / 2, y + LANE / 2 + 4, "no executor; being restarted", 11, BAD, "middle"))
            since = None
    return parts


def kill_mark(x, top, bottom, label):
    return [line(x, top - 4, x, bottom, BAD, 2.0), text(x + 5, top - 6, label, 12, BAD, "start", 600)]


def time_axis(x, y, width, window, zero):
    """Ticks in ms from `zero`."""
    span_ms = (window[1] - window[0]) / 1e6
    step = next(s for s in (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000) if span_ms / s <= 12)
    parts = [line(x, y, x + width, y)]
    tick = math.ceil((window[0] - zero) / 1e6 / step) * step
    while tick <= (window[1] - zero) / 1e6:
        at = x + (tick * 1e6 + zero - window[0]) / (window[1] - window[0]) * width
        parts += [line(at, y, at, y + 4), text(at, y + 15, f"{tick:g} ms" if tick else "0", 11, QUIET, "middle")]
        tick += step
    return parts


def density(boxes, accelerator, span, bins, x, y, width):
    parts = [rect(x, y, width, STRIP, "#f5f6f8")]
    step = width / bins
    for index, shares in enumerate(answers.busy_by_bin(boxes, accelerator, span[0], span[1], bins)):
        base = y + STRIP
        for stream in sorted(shares, key=lambda s: (s != "hard", s)):
            height = min(shares[stream], 1.0) * STRIP
            base -= height
            if height > 0.15:
                parts.append(rect(x + index * step, base, step, height, colour_of(stream), shape_rendering="crispEdges"))
    return parts


# ---- latency: how rare is how slow


def tail(curves, deadline_ns, width=290, height=250):
    """Share of answers slower than x, both axes logarithmic, one curve a phase. `curves`: phase -> ascending values."""
    left, right, top, bottom = 62, 24, 12, 30
    values = [v for curve in curves.values() for v in curve if v > 0]
    low = 10 ** math.floor(math.log10(min(values, default=1e6)))
    high = 10 ** math.ceil(math.log10(max(values + [deadline_ns]) * 1.02))
    rarest = max(3, math.ceil(math.log10(max(len(c) for c in curves.values()) or 1)))
    x = lambda v: left + (math.log10(max(v, low)) - math.log10(low)) / math.log10(high / low) * (width - left - right)
    y = lambda s: top + min(-math.log10(max(s, 1e-9)), rarest) / rarest * (height - top - bottom)
    parts = tail_axes(x, y, low, high, rarest, (left, right, top, bottom, width, height))
    parts += [line(x(deadline_ns), top, x(deadline_ns), height - bottom, BAD, 1.4, "5 3"),
              text(x(deadline_ns) - 4, height - bottom - 6, f"deadline {duration(deadline_ns)}", 11, BAD, "end")]
    for phase, curve in curves.items():
        if curve:
            points = " ".join(f"{x(v):.1f},{y(s):.1f}" for v, s in steps(curve))
            parts.append(tag("polyline", points=points, fill="none", stroke=PHASE_COLOURS[phase], stroke_width=1.8,
                             stroke_linejoin="round"))
    return svg(width, height, parts, "Share of answers slower than a latency")


def steps(curve, most=240):
    """Points (value, share slower) of ascending values, thinned to about equal distances on the logarithmic axis."""
    n, points, last = len(curve), [], None
    for index, value in enumerate(curve):
        slower = (n - index) / n
        if last is None or math.log10(last) - math.log10(slower) > 4 / most or index > n - 12:
            points.append((value, slower))
            last = slower
    return points


def tail_axes(x, y, low, high, rarest, frame):
    left, right, top, bottom, width, height = frame
    parts, value = [], low
    while value <= high * 1.001:
        parts += [line(x(value), top, x(value), height - bottom, GRID),
                  text(x(value), height - bottom + 15, duration(value), 11, QUIET, "middle")]
        value *= 10
    for power in range(rarest + 1):
        label = "all" if power == 0 else f"1 in {10**power:,}"
        parts += [line(left, y(10.0**-power), width - right, y(10.0**-power), GRID),
                  text(left - 5, y(10.0**-power) + 4, label, 10, QUIET, "end")]
    return parts


# ---- on time, second by second


def heat(rows, seconds, kill_s=None, width=300, row_height=18):
    """One row a stream, one cell a second: pale where all was on time, the darker the more was not. `rows`: name -> cells
    (done, submitted)."""
    top = 4
    step = width / max(seconds, 1)
    parts = []
    for index, cells in enumerate(rows.values()):
        y = top + index * row_height
        for second, (done, submitted) in enumerate(cells):
            lost = 1 - done / submitted if submitted else None
            parts.append(rect(second * step, y, step - 1, row_height - 3, heat_colour(lost),
                              f"second {second}: {done} of {submitted} on time"))
    bottom = top + len(rows) * row_height
    if kill_s is not None:
        parts.append(line(kill_s * step, 0, kill_s * step, bottom, BAD, 2.0))
    for second in range(0, int(seconds) + 1, max(1, round(seconds / 4))):
        anchor = "start" if second == 0 else "end" if second >= seconds else "middle"
        parts.append(text(second * step, bottom + 11, f"{second} s", 11, QUIET, anchor))
    return svg(width, bottom + 16, parts, "On-time share by second")


def heat_colour(lost):
    """White-grey, then five steps to dark red; nothing submitted is blank."""
    if lost is None:
        return "#ffffff"
    ramp = ((0.0, "#e3e9ef"), (0.02, "#f6d5c3"), (0.1, "#ee9f86"), (0.3, "#d9586a"), (0.7, "#a4133c"), (1.01, "#6a0628"))
    return next(colour for limit, colour in ramp if lost <= limit)


# ---- which subnets answered


def band_of(subnet):
    width = answers.mean_width(subnet)
    return next(i for i, (least, _) in enumerate(WIDTH_BANDS) if (width or 0) >= least)


def batch_band(size):
    return next(i for i, (least, _) in enumerate(BATCH_BANDS) if size >= least)


def stacked_bar(counts, bands, colours, width=300, height=22):
    """One bar of `counts`, one a band; `bands` are (limit, label). The first two colours are dark."""
    total = sum(counts)
    parts, x = [rect(0, 0, width, height, "#f5f6f8")], 0.0
    for (_, label), colour, count in zip(bands, colours, counts):
        share = count / total if total else 0
        piece = share * width
        parts.append(rect(x, 0, max(0, piece - 0.8), height, colour, f"{label}: {count}"))
        if piece > 34:
            dark = colours.index(colour) < 2
            parts.append(text(x + piece / 2, height / 2 + 4, f"{share * 100:.0f} %", 11, "#ffffff" if dark else INK, "middle"))
        x += piece
    return svg(width, height, parts, ", ".join(f"{label}: {count}" for (_, label), count in zip(bands, counts) if count))


def subnet_bar(subnets):
    """The answers by mean width of the subnet; `subnets`: name -> count."""
    counts = [0] * len(WIDTH_BANDS)
    for name, count in subnets.items():
        counts[band_of(name)] += count
    return stacked_bar(counts, WIDTH_BANDS, WIDTH_COLOURS)


def batch_bar(batches):
    """The answers by the largest batch they were part of; `batches`: size -> count."""
    counts = [0] * len(BATCH_BANDS)
    for size, count in batches.items():
        counts[batch_band(int(size))] += count
    return stacked_bar(counts[::-1], BATCH_BANDS[::-1], BATCH_COLOURS)
