"""Write README.md and the pictures from results.json: `python -m bench.report`."""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median

from bench import charts, tables
from bench.plan import CONNECTION_COUNT
from bench.results import FILE, PEERS, Results, load

PAGE = """\
# Benchmarks

`.venv/bin/python -m bench.report` writes this page from `results.json`. [docs/performance.md](../docs/performance.md)
says how the figures were measured and what they mean.

![Requests per second of this service and its peers at {count} sizes](throughput.svg)

- {connections} connections, {rounds} rounds with windows of {seconds:g} s
- The server used {used:.0f} % of its core and the load at most {busy:.0f} % of the other, in the median window.

## Ratios

Requests per second of the first, divided by those of the second. In brackets: CPU time per request of the second,
divided by that of the first.

{ratios}
## Figures

CPU is user and system time of all processes of the server. MB/s counts bodies both ways.

{shapes}
## Start

{starts}
## Growth

![CPU time per request against rows and classes, requests per second against connections](growth.svg)

{growth}
## Arithmetic alone

{compute}
## Machine

{machine}
"""


def page(results: Results) -> str:
    """Return the page."""
    points = results.points(PEERS)
    return PAGE.format(
        count=len(points),
        connections=CONNECTION_COUNT,
        rounds=results.rounds,
        seconds=results.seconds,
        ratios=tables.ratios(results),
        shapes="\n".join(f"### {point.shape} logits\n\n{tables.shape(results, point)}" for point in points),
        starts=tables.starts(results),
        growth=tables.growth(results),
        compute=tables.compute(results.comparisons),
        machine="\n".join(f"- {name}: {value}" for name, value in results.machine.items()),
        used=100 * median(each.cpu_seconds / each.seconds for each in results.measurements),
        busy=100 * max(each.busy for each in results.measurements),
    )


def main() -> None:
    """Write the page and the pictures into a folder, by default that of the results."""
    parser = argparse.ArgumentParser("python -m bench.report", description=__doc__)
    parser.add_argument("results", type=Path, nargs="?", default=FILE)
    parser.add_argument("--folder", type=Path, default=FILE.parent)
    options = parser.parse_args()
    results = load(options.results)
    write(options.folder / "README.md", page(results))
    write(options.folder / "throughput.svg", charts.throughput(results))
    write(options.folder / "growth.svg", charts.growth(results))


def write(path: Path, content: str) -> None:
    """Write a text file."""
    path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
