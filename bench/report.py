"""python -m bench.report: results.json as a page with tables and pictures."""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median

from bench import charts, tables
from bench.plan import CONNECTION_COUNT
from bench.results import FILE, PEERS, Results, load

PAGE = """\
# How fast is it?

![Requests per second of this service and its peers at {count} sizes](throughput.svg)

Everybody answers the same softmax over HTTP: one worker process on one core, the load on another, {connections} connections
each of which sends its next request when the last one is answered; the median of {rounds} interleaved rounds with windows
of {seconds:g} s. The bare echo is uvicorn sending back the bytes it was sent: the most that this HTTP server can do.

## This service against each of the others

How many times as many requests per second it answers, and in brackets how many times as much CPU time a request costs
the other. Below 1 the other one is ahead, as an echo must be.

{ratios}
## Every figure

CPU is user and system time of all processes of the server, per request: the steadiest figure. MB/s counts bodies both
ways. Peak memory counts pages shared by several processes once.

{shapes}
## Starting

{starts}
## How cost grows

![CPU time per request against rows and classes, requests per second against connections](growth.svg)

{growth}
## The arithmetic alone

No server, one core: the functions behind the endpoints beside `scipy.special.softmax` and `scipy.special.log_softmax`
in the same process. Logits of float32 are computed in float64 and rounded once, at the end, in rows of up to 64 classes.

{compute}
{profile}
## The machine, and doing it again

{machine}

In the median window the server used {used:.0%} of its core, and the load never more than {busy:.0%} of the other. `make bench`
runs all this again and writes this page; the peers are installed into `.venv-bench`, each with the versions in
`peers/*/requirements.txt`. `python -m bench --help` names what can be left out. The raw figures are in `results.json`.
"""

PROFILE = """\
## Where the time of a large request goes, and what does not make it less

CPU time of 1024 x 1000 logits as JSON, 19.6 MB each way, in one thread without a server, memory kept between requests:

| step | ms | of which |
| :-- | --: | :-- |
| text to array | 28 | 20 in simdjson, 20 ns a number |
| softmax | 2.5 | 2 ns a logit in NumPy's four passes: largest, exponential, sum, quotient |
| array to text | 25 | all in orjson, 22 to 25 ns a number |

- Ten times plain FastAPI would need the whole of it, and the HTTP around it, in 60 ms; the parser and the writer alone take
  45. In the server it is 70 to 80 ms. orjson takes 23 ms for a million times 0.5 and 25 ms for as many numbers of 17 digits:
  the cost is that of a number, not of its digits, and it is the same in one call or in blocks of rows.
- To take 20 MB from a socket and send them back costs 13 ms where the system puts each byte into its place, as it does here
  (`service/api/receiver.py`), and 24 ms where uvicorn makes pieces of them. That, and to send the memory of an array as it
  is, took `.npy` from 20 to 9 ms and JSON from 110 to 82, in the same hours.
- Parsed whole, the text took 32 ms and 12 more of system time, for 6,000 fresh pages; in pieces of 128 kB it takes none.
  Pieces of 16 kB to 1 MB were tried; below 32 kB the calls cost more, above 256 kB fresh memory does. To keep 512 MB of freed
  memory rather than 64 makes no difference.
- A thread takes 5 to 10 % more CPU than the event loop would, for 8 changes of threads with 64 x 1000 logits. The loop
  would stand still meanwhile, and 14 times as long for a text that only the slow parser can read.
- Softmax alone: where the largest logit of a row is from 0 to 680, its exponentials are taken as they are, which saves the
  difference, SciPy's fifth pass. The exponential is half of the rest, so that on one core and in memory that is warm nothing
  of NumPy's is twice as fast. Blocks of 16,384 and 32,768 logits are slower than 65,536. With the classes of short rows on
  the outer axis a pass is faster, but to turn a block around and back takes what that saves.
- Two cores take 3.2 ms for 2 million logits where one takes 4.6, and as long as one below 500,000; the blocks of a batch
  are shared out from there on. The table above is of one core.
- float32 takes 0.6 to 0.7 of the time of float64 in rows of more than 64 classes, where exponentials of float32 are summed in
  float64: a probability was within 5.5 units in the last place in 24 million, for the most part NumPy's exponential. Sums in
  float32 would save a seventh more and make 8.7; with SciPy's differences an error is as many units as the difference is
  large. What else is asked for, rows whose largest logit is not from 0 to 60, and temperatures are computed in float64.
- Memory: a JSON request of B bytes peaks at 2.4 B above idle, a `.npy` file at 2.1 B, V2 binary at 2.2 B
  (`python -m bench.memory`): the body and the answer, and the blocks that are worked on.

## Where the time of a small request goes, and what does not make it less

What a request of 1 x 10 logits costs the processor behind the server's HTTP, as `python -m bench.instructions` counts it in
five minutes, the same on a busy machine as on an idle one (without the line in the log):

| step | instructions | lines of code fetched anew |
| :-- | --: | --: |
| text to arrays | 38,500 | 1,630 |
| arrays to message: Pydantic, do the shapes fit | 21,800 | 730 |
| softmax | 82,400 | 3,910 |
| arrays to text | 11,400 | 290 |
| headers, media types, body, admission, reply, metrics | 108,400 | 3,220 |
| all | 262,500 | 9,780 |

- It was 425,000 instructions before they were counted, and 220 calls of functions where it is 160 now. A request in a loop
  without a socket went from 55-70 to 37 us. The largest part was no step at all: metrics had 64,000, as each request told
  eight metrics of the library one by one. Counters are told the sums of 64 requests now, and the seconds of a stage are one.
  Then came contexts of NumPy's error state, a model's fields that nobody had sent, and tuples with names.
- What is paid for is code that has left the caches. A core has 32 kB of cache for instructions, and a request fetches 626 kB
  of them. In the same hour a server took a fifth less CPU time for two fifths fewer instructions. In a loop of the code as it
  was before, a pause of 50 us between requests took each of them from 81 to 200 us. Neither the collector (off, frozen) nor huge
  pages (always, never) make a difference.
- A bare ASGI application that parses, takes a naive softmax and writes, and nothing else (no check, no limit, no header, no
  metric), answers half as many requests as the echo: in quiet windows 0.059 ms of CPU, where the echo took 0.030, plain
  FastAPI 0.27 and this service 0.145. So 0.4 of the echo would leave 0.02 ms for everything that is in the contract.
- The neighbours of this machine are heard: from hour to hour the same code takes up to 1.7 times as long. Ratios last.
- FastAPI's middleware and router take as long again; an operation is served before them. Its dependency injection, Pydantic
  per number and `tolist()` are what the plain service pays.
- Tried without a gain that could be measured: one write for head and body of a reply, past uvicorn's own (3 %, its loop
  writes both at once anyway); a CPython of the distribution in place of one built without its optimizations (5 %); client and
  server on one core; sums of short rows by `matvec`, which are faster, but whose last bits depend on the other rows.
- The line in the log takes 0.04 ms more; `--log-level warning` leaves it out, as everybody's is here.
"""


def page(results: Results) -> str:
    """The report."""
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
        profile=PROFILE,
        machine="\n".join(f"- {name}: {value}" for name, value in results.machine.items()),
        used=median(each.cpu_seconds / each.seconds for each in results.measurements),
        busy=max(each.busy for each in results.measurements),
    )


def main() -> None:
    """Writes README.md and the pictures into the folder of the results, unless another is named."""
    parser = argparse.ArgumentParser("python -m bench.report", description=__doc__)
    parser.add_argument("results", type=Path, nargs="?", default=FILE)
    parser.add_argument("--folder", type=Path, default=FILE.parent)
    options = parser.parse_args()
    results = load(options.results)
    write(options.folder / "README.md", page(results))
    write(options.folder / "throughput.svg", charts.throughput(results))
    write(options.folder / "growth.svg", charts.growth(results))


def write(path: Path, content: str) -> None:
    """Writes a file."""
    path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
