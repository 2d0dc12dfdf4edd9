"""Figures as drawings: where each bar, line and label stands. The template turns them into SVG, beside a table."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

WIDE, NARROW, HEIGHT = 1080, 520, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 24, 8, 22


class Bar(NamedTuple):
    """A bar, and what it says when it is pointed at."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    words: str


class Tick(NamedTuple):
    """A line of the scale, or a label under the plot."""

    at: float
    label: str


class Plot(NamedTuple):
    """Everything that is drawn."""

    bars: Sequence[Bar] = ()
    line: str = ""
    area: str = ""
    levels: Sequence[Tick] = ()
    labels: Sequence[Tick] = ()
    width: int = WIDE
    height: int = HEIGHT
    left: int = _LEFT
    base: int = HEIGHT - _BOTTOM


def pairs(dates: Sequence[str], first: Sequence[int], second: Sequence[int], names: tuple[str, str]) -> Plot:
    """Two bars a day."""
    scale = _Scale(max([*first, *second, 1]))
    step = (WIDE - _LEFT - _RIGHT) / max(1, len(dates))
    bar = max(1.0, step * 0.36)
    bars = []
    for index, date in enumerate(dates):
        for shift, (count, kind, name) in enumerate(((first[index], "a", names[0]), (second[index], "b", names[1]))):
            y = scale.y(count)
            x = _LEFT + index * step + step * 0.12 + shift * bar
            bars.append(
                Bar(round(x, 1), y, round(bar * 0.92, 1), round(scale.base - y, 1), kind, f"{date}: {count} {name}")
            )
    return Plot(bars, levels=scale.levels(), labels=_labels(dates, step))


def course(dates: Sequence[str], counts: Sequence[int]) -> Plot:
    """A line over the days."""
    scale = _Scale(max([*counts, 1]))
    step = (NARROW - _LEFT - _RIGHT) / max(1, len(dates))
    points = [(round(_LEFT + (index + 0.5) * step, 1), scale.y(count)) for index, count in enumerate(counts)]
    line = " ".join(f"{x},{y}" for x, y in points)
    area = f"{points[0][0]},{scale.base} {line} {points[-1][0]},{scale.base}" if points else ""
    return Plot((), line, area, scale.levels(), _labels(dates, step), NARROW)


class _Scale:
    """From nought to a round number above the greatest."""

    def __init__(self, greatest: int) -> None:
        size: int = 10 ** math.floor(math.log10(greatest))
        fitting = next(size * part for part in (0.2, 0.5, 1, 2, 5) if size * part * 4 >= greatest)
        self.step = max(1, math.ceil(fitting))
        self.top = self.step * math.ceil(greatest / self.step)
        self.base = HEIGHT - _BOTTOM

    def y(self, count: float) -> float:
        """How high a count stands."""
        return round(self.base - count / self.top * (self.base - _TOP), 1)

    def levels(self) -> list[Tick]:
        """The lines of the scale."""
        return [Tick(self.y(count), compact(count)) for count in range(0, self.top + 1, self.step)]


def compact(count: int) -> str:
    """A round number in few characters, since the scale has little room: 40000 as `40k`, 2500000 as `2.5M`."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:g}{unit}"
    return str(count)


def _labels(dates: Sequence[str], step: float) -> list[Tick]:
    """A date now and then, the last one always."""
    every = max(1, math.ceil(len(dates) / 7))
    shown = range(len(dates) - 1, -1, -every)
    return [Tick(round(_LEFT + (index + 0.5) * step, 1), _short(dates[index])) for index in shown]


def _short(date: str) -> str:
    """`2026-11-05` as `5 Nov`."""
    return datetime.fromisoformat(date).strftime("%-d %b")
