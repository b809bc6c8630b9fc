"""A benchmark's figures as SVG files. A figure is what a program wrote into its JSON under `figures`: README.md says how."""

import math
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "demo_apps"))
from charts import BAD, GRID, INK, QUIET, RULE, line, rect, svg, tag, text  # noqa: E402

# Okabe and Ito's palette, as in the demo's report.
COLOURS = ("#0b5fa5", "#d1660a", "#009e73", "#9b5094", "#e69f00", "#56b4e9", "#5b6470")
WIDTH, LEFT, RIGHT, TOP = 640, 70, 24, 44


def short(value):
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def ticks(low, high, logarithmic):
    """Round values from `low` to `high`; they enclose both."""
    if logarithmic:
        first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
        return [10.0**power for power in range(first, max(last, first + 1) + 1)]
    span = high - low or abs(high) or 1.0
    step = 10 ** math.floor(math.log10(span / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= 6)
    first = math.floor(low / step + 1e-9)
    values = [first * step]
    while values[-1] < high - step * 1e-6 or len(values) < 2:
        values.append((first + len(values)) * step)
    return values


def scale(marks, start, end, logarithmic):
    """Where a value lies between two places on the paper."""
    of = math.log10 if logarithmic else float
    low, high = of(marks[0]), of(marks[-1])
    return lambda value: start + (min(max(of(max(value, marks[0])), low), high) - low) / (high - low) * (end - start)


def standalone(width, height, parts, title):
    """An SVG that is looked at by itself: white ground, the report's type."""
    parts = [rect(0, 0, width, height, "#ffffff"), text(16, 22, title, 14, INK, weight=600)] + parts
    style = 'font-family="system-ui,-apple-system,\'Segoe UI\',\'DejaVu Sans\',sans-serif"'
    return svg(width, height, parts, title).replace("<svg ", f"<svg {style} ", 1) + "\n"


def lines(figure, height=340):
    """Curves over x, each with its name; `limit` is a dashed line across."""
    bottom = height - 44 - 18 * math.ceil(len(figure["series"]) / 3)
    points = [p for series in figure["series"] for p in series["points"]]
    log_x, log_y = figure.get("log_x", False), figure.get("log_y", False)
    ys = [y for _, y in points] + ([figure["limit"]] if "limit" in figure else []) + ([] if log_y else [0.0])
    if log_y:
        ys = [y for y in ys if y > 0]
    x_marks, y_marks = ticks(min(x for x, _ in points), max(x for x, _ in points), log_x), ticks(min(ys), max(ys), log_y)
    x, y = scale(x_marks, LEFT, WIDTH - RIGHT, log_x), scale(y_marks, bottom, TOP, log_y)
    parts = axes(x, y, x_marks, y_marks, bottom, figure)
    for index, series in enumerate(figure["series"]):
        colour, ordered = COLOURS[index % len(COLOURS)], sorted(series["points"])
        parts.append(tag("polyline", points=" ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in ordered), fill="none", stroke=colour,
                         stroke_width=2, stroke_linejoin="round"))
        parts += [tag("circle", tag("title", f"{short(a)}, {short(b)}"), cx=x(a), cy=y(b), r=2.6, fill=colour)
                  for a, b in ordered]
        at = (LEFT + index % 3 * 190, bottom + 52 + index // 3 * 18)
        parts += [line(at[0], at[1] - 4, at[0] + 18, at[1] - 4, colour, 2.5), text(at[0] + 24, at[1], series["name"])]
    return standalone(WIDTH, height, parts, figure["title"])


def axes(x, y, x_marks, y_marks, bottom, figure):
    parts = []
    for mark in y_marks:
        parts += [line(LEFT, y(mark), WIDTH - RIGHT, y(mark), GRID), text(LEFT - 6, y(mark) + 4, short(mark), 11, QUIET, "end")]
    for mark in x_marks:
        parts += [line(x(mark), bottom, x(mark), bottom + 4), text(x(mark), bottom + 16, short(mark), 11, QUIET, "middle")]
    parts += [line(LEFT, bottom, WIDTH - RIGHT, bottom, RULE),
              text(WIDTH - RIGHT, bottom + 32, figure.get("x", ""), 12, QUIET, "end"),
              text(LEFT - 54, TOP - 8, figure.get("y", ""), 12, QUIET)]
    if "limit" in figure:
        at = y(figure["limit"])
        parts += [line(LEFT, at, WIDTH - RIGHT, at, BAD, 1.4, "5 3"),
                  text(WIDTH - RIGHT - 2, at - 5, f"limit {short(figure['limit'])}", 11, BAD, "end")]
    return parts


def bars(figure):
    """One bar a name; `limit` is a dashed line down."""
    height = TOP + 26 * len(figure["bars"]) + 34
    left, right = 220, WIDTH - 100
    most = max([value for _, value in figure["bars"]] + [figure.get("limit", 0.0)]) or 1.0
    x = scale(ticks(0.0, most, False), left, right, False)
    parts = []
    for index, (name, value) in enumerate(figure["bars"]):
        at = TOP + index * 26
        parts += [text(left - 8, at + 13, name, 12, INK, "end"), rect(left, at, x(value) - left, 18, COLOURS[0]),
                  text(WIDTH - 16, at + 13, f"{short(value)} {figure.get('unit', '')}", 12, INK, "end")]
    if "limit" in figure:
        at, foot = x(figure["limit"]), height - 30
        parts += [line(at, TOP - 6, at, foot, BAD, 1.4, "5 3"),
                  text(at, foot + 14, f"limit {short(figure['limit'])}", 11, BAD, "middle")]
    return standalone(WIDTH, height, parts, figure["title"])


def draw(figure):
    """The SVG of a figure; None if there is nothing to draw."""
    if figure.get("bars"):
        return bars(figure)
    series = [s for s in figure.get("series", []) if s["points"]]
    return lines(figure | {"series": series}) if series else None
