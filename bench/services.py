"""Services to measure, one entry of `SERVICES` for each."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.payloads import KINDS, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent / ".venv-bench"

UVICORN = "{bin}/python -m uvicorn server:app --port {port} --loop uvloop --http httptools --no-access-log --log-level warning"
OURS = "{bin}/python -m service --port {port} --log-level warning"
OUR_PACKAGES = ("fastapi", "uvicorn", "numpy", "ssrjson", "pysimdjson")


@dataclass(frozen=True)
class Service:
    """A server to measure.

    command: start command, run in `folder`; {bin} is the folder of the commands of its environment, {port} its port.
    packages: packages whose versions are reported. peer: its folder below `peers`, or None for this project.
    path: path of the requests. variables: its environment variables, with {port} filled in.
    """

    name: str
    title: str
    command: str
    kind: Kind
    packages: tuple[str, ...]
    peer: str | None = None
    path: str = "/softmax"
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Return the working folder of the server."""
        return HERE.parent if self.peer is None else HERE / "peers" / self.peer

    @property
    def environment(self) -> Path | None:
        """Return the virtual environment of the service, or None for the current one."""
        return None if self.peer is None else ENVIRONMENTS / self.peer

    @property
    def commands(self) -> Path:
        """Return the folder of the commands of its environment."""
        return Path(sys.executable).parent if self.environment is None else self.environment / "bin"


SERVICES: tuple[Service, ...] = (
    Service("service", "this service", OURS, KINDS["JSON, probabilities only"], OUR_PACKAGES),
    Service(
        "service-v2-json",
        "this service, V2 JSON",
        OURS,
        KINDS["V2 JSON"],
        OUR_PACKAGES,
        path="/v2/models/softmax/infer",
    ),
    Service(
        "service-v2-binary",
        "this service, V2 binary",
        OURS,
        KINDS["V2 binary"],
        OUR_PACKAGES,
        path="/v2/models/softmax/infer",
    ),
    Service(
        "service-npy", "this service, .npy", OURS, KINDS[".npy"], OUR_PACKAGES, path="/softmax?outputs=probabilities"
    ),
    Service("fastapi", "plain FastAPI", UVICORN, KINDS["JSON"], ("fastapi", "uvicorn", "numpy"), "fastapi"),
    Service(
        "fastapi-async",
        "FastAPI, async def",
        UVICORN,
        KINDS["JSON"],
        ("fastapi", "uvicorn", "numpy"),
        "fastapi",
        path="/async-softmax",
    ),
    Service(
        "flask",
        "Flask + gunicorn",
        "{bin}/python -m gunicorn server:app --bind 127.0.0.1:{port} --workers 1 --threads 8 --log-level warning",
        KINDS["JSON"],
        ("flask", "gunicorn", "numpy"),
        "flask",
    ),
    Service(
        "litserve",
        "LitServe",
        "{bin}/python server.py {port}",
        KINDS["JSON"],
        ("litserve", "uvicorn", "numpy"),
        "litserve",
    ),
    Service(
        "bentoml",
        "BentoML",
        "{bin}/python -m bentoml serve server:Softmax --host 127.0.0.1 --port {port}",
        KINDS["JSON"],
        ("bentoml", "uvicorn", "numpy"),
        "bentoml",
        variables={"BENTOML_DO_NOT_TRACK": "true"},
    ),
    Service(
        "mlserver",
        "MLServer, V2 JSON",
        "{bin}/mlserver start .",
        KINDS["V2 JSON"],
        ("mlserver", "uvicorn", "numpy"),
        "mlserver",
        path="/v2/models/softmax/infer",
        variables={"MLSERVER_HTTP_PORT": "{port}"},
    ),
    Service(
        "ray",
        "Ray Serve",
        "{bin}/python server.py {port}",
        KINDS["JSON"],
        ("ray", "fastapi", "uvicorn", "numpy"),
        "ray",
        variables={"RAY_USAGE_STATS_ENABLED": "0", "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1"},
    ),
    Service("echo", "bare echo", UVICORN, KINDS["JSON, echoed"], ("uvicorn", "httptools", "uvloop"), "echo"),
    Service(
        "echo-npy", "bare echo of .npy", UVICORN, KINDS[".npy, echoed"], ("uvicorn", "httptools", "uvloop"), "echo"
    ),
)

TITLES: Mapping[str, str] = {service.name: service.title for service in SERVICES}
