"""Charts as SVG, written by hand: two shapes are all that is needed, and a plotting library is 50 MB."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from benchmarks.figures import Spread

_WIDTH = 760
_LEFT = 250
_RIGHT = 110
_BAR = 20
_COLOURS = {
    "wechat_notify": "#07c160",
    "wechat_notify, without ledger": "#8fd9b0",
    "its session alone": "#8fd9b0",
    "wechatpy": "#576b95",
    "naive": "#576b95",
    "naive, idempotent": "#a3adc2",
    "requests.Session": "#a3adc2",
}
_OTHER = "#c2703d"
_INK = "#333333"
_PAPER = "#ffffff"
_GRID = "#dddddd"


class Group(NamedTuple):
    """Bars under one heading."""

    heading: str
    bars: Sequence[tuple[str, Spread]]


def bars(title: str, unit: str, groups: Sequence[Group]) -> str:
    """A bar for each subject, as long as its median, with a line from the least to the most."""
    most = max(spread.high for group in groups for _, spread in group.bars) or 1.0
    scale = (_WIDTH - _LEFT - _RIGHT) / most
    parts: list[str] = []
    y = 46.0
    for group in groups:
        if group.heading:
            parts.append(_text(12, y + 12, group.heading, weight="bold"))
            y += 22
        for name, spread in group.bars:
            middle = y + _BAR / 2
            width = max(1.0, spread.median * scale)
            parts.append(_text(_LEFT - 8, middle + 4, name, anchor="end"))
            parts.append(
                f'<rect x="{_LEFT}" y="{y:.1f}" width="{width:.1f}" height="{_BAR - 4}" '
                f'fill="{_COLOURS.get(name, _OTHER)}"/>'
            )
            parts.append(
                f'<line x1="{_LEFT + spread.low * scale:.1f}" x2="{_LEFT + spread.high * scale:.1f}" '
                f'y1="{middle - 2:.1f}" y2="{middle - 2:.1f}" stroke="{_INK}"/>'
            )
            label_at = _LEFT + max(width, spread.high * scale) + 6
            parts.append(_text(label_at, middle + 3, f"{number(spread.median)} {unit}"))
            y += _BAR
        y += 12
    return _document(title, y + 4, parts)


def lines(title: str, across: str, unit: str, series: Mapping[str, Sequence[tuple[float, Spread]]]) -> str:
    """A line for each subject over sizes; both axes are logarithmic."""
    height, top, left = 340, 50, 80
    right, bottom = _WIDTH - 200, height - 50
    xs = [x for points in series.values() for x, _ in points]
    ys = [spread.median for points in series.values() for _, spread in points if spread.median > 0]
    low, high = math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys)))
    first, last = math.log10(min(xs)), math.log10(max(xs))

    def place(x: float, y: float) -> tuple[float, float]:
        across_part = (math.log10(x) - first) / ((last - first) or 1)
        up_part = (math.log10(y) - low) / ((high - low) or 1)
        return left + across_part * (right - left), bottom - up_part * (bottom - top)

    parts = []
    for exponent in range(low, high + 1):
        _, y = place(10**first, 10.0**exponent)
        parts.append(f'<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_GRID}"/>')
        parts.append(_text(left - 8, y + 4, f"{number(10.0**exponent)} {unit}", anchor="end"))
    for x in sorted(set(xs)):
        at, _ = place(x, 10.0**low)
        parts.append(_text(at, bottom + 18, number(x), anchor="middle"))
    parts.append(_text((left + right) / 2, bottom + 38, across, anchor="middle"))
    labels: list[float] = []
    for name, points in series.items():
        colour = _COLOURS.get(name, _OTHER)
        places = [place(x, spread.median) for x, spread in points if spread.median > 0]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in places]
        label = places[-1][1]
        while any(abs(label - other) < 15 for other in labels):  # noqa: PLR2004 - a line of text
            label -= 15
        labels.append(label)
        parts.append(_text(places[-1][0] + 10, label + 4, name, colour=colour))
    return _document(title, height, parts)


def number(value: float) -> str:
    """Three significant digits, or whole where it is large."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:  # noqa: PLR2004 - from here on thousands are marked
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal", colour: str = _INK
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" fill="{colour}">'
        f"{escape(text)}</text>"
    )


def _document(title: str, height: float, parts: Sequence[str]) -> str:
    box = f'width="{_WIDTH}" height="{height:.0f}" viewBox="0 0 {_WIDTH} {height:.0f}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {box} font-family="sans-serif" font-size="12">',
            f"<title>{escape(title)}</title>",
            f'<rect width="100%" height="100%" fill="{_PAPER}"/>',
            f'<text x="12" y="26" font-size="15" font-weight="bold" fill="{_INK}">{escape(title)}</text>',
            *parts,
            "</svg>",
            "",
        ]
    )
