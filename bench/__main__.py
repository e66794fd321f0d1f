"""Measure this service and its peers on the same requests, and write results.json: `python -m bench`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from bench import compute, machine, plan
from bench.environments import InstallError, install
from bench.measure import measure
from bench.results import FILE, Results, save
from bench.services import SERVICES, Service


def main() -> None:
    """Install the services, measure them in interleaved rounds, and save the results after each round."""
    options = parse()
    # exit through the context managers, which stop the running server
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    results = Results(machine.describe(), options.seconds, options.rounds, [service.name for service in options.only])
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    for service in options.only:
        prepare(results, service)
    for number in range(1, options.rounds + 1):
        for service in options.only:
            if service.name in results.failures:
                continue
            sys.stderr.write(f"round {number} of {options.rounds}: {service.title}\n")
            points = plan.points(service.name, options.shapes, growth=options.growth)
            measure(results, service, points, cores[0])
        save(results, options.output)
    results.comparisons = compute.compare(set(cores))
    save(results, options.output)


def prepare(results: Results, service: Service) -> None:
    """Install a service and record its versions, or the reason why it cannot be installed."""
    try:
        install(service)
        results.versions[service.name] = machine.versions(service)
    except InstallError as error:
        results.failures[service.name] = f"not installed: {error}"
        sys.stderr.write(f"{service.title}: {results.failures[service.name]}\n")


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser("python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few minutes: this service, plain FastAPI and the echo")
    parser.add_argument("--only", type=services, default=SERVICES, metavar="NAME,...", help="measure only these")
    parser.add_argument("--shapes", type=shapes, default=plan.SHAPES, metavar="ROWSxCLASSES,...")
    parser.add_argument("--rounds", type=int, help="the median of which counts; 3, or 2 for a quick run")
    parser.add_argument("--seconds", type=float, help="length of a window; 2, or 0.5 for a quick run")
    parser.add_argument("--no-growth", dest="growth", action="store_false", help="leave out how cost grows with size")
    parser.add_argument("--output", type=Path, default=FILE)
    options = parser.parse_args()
    if options.quick:
        options.only = tuple(service for service in options.only if service.name in plan.QUICK)
    options.rounds = options.rounds or (2 if options.quick else 3)
    options.seconds = options.seconds or (0.5 if options.quick else 2.0)
    return options


def services(text: str) -> tuple[Service, ...]:
    """Return the named services, in the order of the table."""
    names = text.split(",")
    known = [service.name for service in SERVICES]
    if not set(names) <= set(known):
        raise argparse.ArgumentTypeError(f"the names are {', '.join(known)}")
    return tuple(service for service in SERVICES if service.name in names)


def shapes(text: str) -> tuple[plan.Shape, ...]:
    """Return the shapes of a list like 1x10,64x1000."""
    pairs = (pair.split("x") for pair in text.split(","))
    return tuple((int(rows), int(classes)) for rows, classes in pairs)


if __name__ == "__main__":
    main()
