"""SVG elements of the pictures: text, lines, bars, logarithmic scales."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log10
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterable

STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
  .title { font-size: 17px; font-weight: 600 }
  .panel { font-size: 14px; font-weight: 600 }
  .soft { fill: #59636e; font-size: 12px }
  .strong { font-weight: 600 }
  .halo { paint-order: stroke; stroke: #ffffff; stroke-width: 4px; stroke-linejoin: round }
  .card { fill: #ffffff; stroke: #d1d9e0 }
  .grid { stroke: #d1d9e0; stroke-width: 1 }
  .bar.ours { fill: #0072b2 } .bar.door { fill: #56b4e9 } .bar.peer { fill: #9aa4af }
  .bar.limit { fill: none; stroke: #59636e; stroke-dasharray: 4 3 }
  .line { fill: none; stroke-width: 2.5; stroke-linejoin: round }
  .line.ours { stroke: #0072b2; stroke-width: 3.5 } .line.peer { stroke: #d55e00 }
  .line.limit { stroke: #59636e; stroke-dasharray: 6 4 }
  .dot.ours { fill: #0072b2 } .dot.peer { fill: #d55e00 } .dot.limit { fill: #59636e }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .soft { fill: #9198a1 }
    .halo { stroke: #0d1117 }
    .card { fill: #0d1117; stroke: #3d444d }
    .grid { stroke: #3d444d }
    .bar.ours { fill: #56b4e9 } .bar.door { fill: #1f6f9f } .bar.peer { fill: #6e7681 }
    .bar.limit { stroke: #9198a1 }
    .line.ours { stroke: #56b4e9 } .line.peer { stroke: #e69f00 } .line.limit { stroke: #9198a1 }
    .dot.ours { fill: #56b4e9 } .dot.peer { fill: #e69f00 } .dot.limit { fill: #9198a1 }
  }
"""
"""Colours of Okabe and Ito, distinguishable with colour blindness, on a white card, or a dark one in dark mode."""


@dataclass(frozen=True)
class LogScale:
    """A logarithmic scale from values to pixels: low at start, high at end."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        return self.start + (self.end - self.start) * log10(value / self.low) / log10(self.high / self.low)

    def decades(self) -> list[float]:
        """Return the powers of ten in range."""
        return [10.0**power for power in range(ceil(log10(self.low)), floor(log10(self.high)) + 1)]


def decades_around(values: Iterable[float], below: float = 0.0) -> tuple[float, float]:
    """Return the powers of ten around all values, the lower one at least a margin of a decade below them."""
    logarithms = [log10(value) for value in values]
    low = floor(min(logarithms) - below)
    return 10.0**low, 10.0 ** max(ceil(max(logarithms)), low + 1)


def document(width: float, height: float, title: str, parts: Iterable[str]) -> str:
    """Return a whole picture on its card."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}">',
            f"<style>{STYLE}</style>",
            f'<rect class="card" x=".5" y=".5" width="{width - 1:g}" height="{height - 1:g}" rx="8"/>',
            *parts,
            "</svg>\n",
        ]
    )


def text(x: float, y: float, content: str, style: str = "", anchor: str = "start") -> str:
    """Return a line of text whose base line is at y."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">{escape(content)}</text>'


def line(x1: float, y1: float, x2: float, y2: float) -> str:
    """Return a grid line."""
    return f'<path class="grid" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>'


def bar(x: float, y: float, width: float, height: float, style: str) -> str:
    """Return a bar."""
    return (
        f'<rect class="bar {style}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 1.0):.1f}" height="{height:g}" rx="2"/>'
    )


def curve(points: list[tuple[float, float]], style: str) -> str:
    """Return a line through points, with a dot at each."""
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    dots = "".join(f'<circle class="dot {style}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in points)
    return f'<path class="line {style}" d="M{path}"/>{dots}'


def number(value: float) -> str:
    """Return a number with three significant digits."""
    places = max(0, 2 - floor(log10(value))) if value > 0 else 0
    return f"{value:,.{places}f}"


def power(value: float) -> str:
    """Return the label of a power of ten: 0.1, 10, 1k, 1M."""
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"
