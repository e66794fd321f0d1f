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

No server: the functions behind the endpoints beside `scipy.special.softmax` and `scipy.special.log_softmax` in the same
process, in memory that is warm, on one core and on all of the machine, which share out 262,144 logits and more. SciPy takes as
long on one core as on many. Logits of float32 are computed in float64 and rounded once, at the end, in rows of up to 64 classes.

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
| text to array | 20 | 16 in simdjson, 16 ns a number |
| softmax | 1.4 | in NumPy's four passes: largest, exponential, sum, quotient |
| array to text | 9.5 | all in ssrjson, 9 ns a number |

- In the server it is 42 ms in an hour in which plain FastAPI takes 350, and 56 in one in which it takes 417. A profile of the
  42: the parser has 17, the writer 9.5, the system 7, NumPy 3.3, of which 1.8 are softmax, libc 2.6, Python 2. Without all that
  is not parser, writer, system or softmax it would be 9.9 times plain FastAPI. At 64 x 1000 an eighth of it would be 2.3 ms:
  here it is 2.6 to 2.9, of which the parser has 1.0, the writer 0.6, the sockets 0.5, and MLServer takes 2.5 to 2.7 times that.
  No parser for Python is faster: cysimdjson is as fast, ssrjson takes 42 and orjson 53 ms for 1024 x 1000, with an object for
  each number. One of our own, in C, would be one more thing to trust with what strangers send, and to build on every machine.
- To look for the end of an array only among the last characters before the next name saves 0.5 of the 20 ms of text to array,
  and nothing that can be measured in the server.
- orjson takes 17 ms where ssrjson takes 9.5, and writes 0.5 in the time of 17 digits. Written whole, a text of 20 MB costs 5 ms
  of fresh pages; in pieces of 65,536 numbers, which are sent as they are, none.
- To take 20 MB from a socket and send them back costs half of what it does where uvicorn makes pieces of them, since the system
  puts each byte into its place (`service/api/receiver.py`) and the memory of an array is sent as it is.
- Parsed whole, the text takes a seventh longer, and in a busier hour took 12 ms of system time for 6,000 fresh pages; in pieces
  of 128 kB it takes none. Below 32 kB the calls cost more, above 256 kB fresh memory does.
- A thread takes 0.05 to 0.25 ms more CPU than the event loop would: an eighth at 10 x 1000, nothing to a twelfth at 64 x 1000.
  The loop would stand still meanwhile, and 14 times as long for a text that only the slow parser can read, so that bodies above
  256 KiB go to a thread. As many threads as the process has cores, rather than the machine, make no difference.
- Softmax alone: where the largest logit of a row is from 0 to 680, its exponentials are taken as they are, which saves the
  difference, SciPy's fifth pass. The exponential is half of the rest, so that on one core and in memory that is warm nothing of
  NumPy's is twice as fast. Blocks of 131,072 logits rather than 65,536 save a twentieth, and on two cores, which pass the
  interpreter's lock around less often, a sixth; but 4 MB then take a fifth more memory. With the classes of short rows on the
  outer axis a pass is faster, but to turn a block around and back takes what that saves.
- float32 takes 0.6 to 0.7 of the time of float64 in rows of more than 64 classes, where exponentials of float32 are summed in
  float64: a probability was within 5.5 units in the last place in 24 million, for the most part NumPy's exponential. Sums in
  float32 would save a seventh more and make 8.7; products with ones, 64 classes at a time, a twelfth, and sums that are up to
  1.4 units off; with SciPy's differences an error is as many units as the difference is large. What else is asked for, rows
  whose largest logit is not from 0 to 60, and temperatures are computed in float64.
- Memory: a JSON request of B bytes peaks at 2.0 B above idle, as does a `.npy` file; V2 binary at 2.1 B
  (`python -m bench.memory`): the body and the answer, and the blocks that are worked on.

## Where the time of a small request goes, and what does not make it less

What a request of 1 x 10 logits costs the processor behind the server's HTTP, as `python -m bench.instructions` counts it in
five minutes, the same on a busy machine as on an idle one (without the line in the log):

| step | instructions | lines of code fetched anew |
| :-- | --: | --: |
| text to arrays | 37,100 | 1,610 |
| arrays to message: Pydantic, do the shapes fit | 21,400 | 690 |
| softmax | 65,800 | 2,980 |
| arrays to text | 15,000 | 470 |
| headers, media types, body, admission, reply, metrics | 83,000 | 2,420 |
| all | 222,300 | 8,170 |

- In a loop without a socket a request takes 23 us, in the server the application alone takes 34, or 31 with 32 connections,
  which bring more requests in a turn of the event loop. What is paid for is code that has left the caches: a core has 32 kB for
  instructions, and a request fetches many times as much.
- The largest cost in one place was a system call: the head of a reply, written on its own, woke a client that slept, which took
  15 us of 75. Head and body are sent together now, and after all requests of a turn of the event loop: 67 us. To make NumPy's
  error state once, rather than for each request, took it to 65.5, what a single row does not need to 64, and to write short
  outputs in one call to 61.
- Then, beside an echo that took 20 to 21 us: a whole body taken from the server as it is, with no clock, no coroutine and no
  message for it, and durations told to Prometheus by the hundred, took 62 to 58 us; a short reply written past the server's
  `send`, which looks at each character of each header, to 54.5 (`service/api/connection.py`).
- To keep what was asked of Pydantic's settings and classes, whose attributes take five to twelve times as long as others, and of
  an enumeration, and to write an id in fewer steps, saved 6,000 instructions more, too few to be told apart by the clock.
- Those 54.5 are 0.38 of the echo, where 0.4 would be 51.5. The application itself has 34 of them, in some 65 functions of
  Python and 75 of C, of which the most expensive, Pydantic's validation, is a twentieth. An ASGI application that parses, takes a
  naive softmax and writes, and nothing else (no check, no limit, no header, no metric, no option), takes 26 in all, the echo's
  20 among them: the contract is the rest.
- The neighbours of this machine are heard: from hour to hour the same code takes up to three times as long. Ratios last.
- FastAPI's middleware and router take as long again; an operation is served before them. Its dependency injection, Pydantic per
  number and `tolist()` are what the plain service pays.
- Tried without a gain that could be measured: the collector off or frozen; huge pages; to ask whether a call is needed before
  each that mostly does nothing; exponentials that are not kept for the next quantity; client and server on one core; sums of
  short rows by `matvec`, which are faster, but whose last bits depend on the other rows.
- A CPython of the distribution, in place of one built without its optimizations, takes 51 rather than 54.5 us, and its echo
  less too: 0.38.
- The line in the log takes 13 us more, a quarter; `--log-level warning` leaves it out, as everybody's is here.
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
