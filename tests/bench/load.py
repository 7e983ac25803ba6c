"""Load: wrk repeats one call against one peer for some seconds."""

import json
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench.call import CALL
from tests.bench.machine import BenchFailed, Cores, cpu_seconds

SCRIPT = Path(__file__).with_name("post.lua")
ANSWER_SECONDS_MAX = 20


@dataclass(frozen=True, slots=True)
class Peer:
    """Something that answers chat completions; `pids` head all the processes that serve it.

    Only Tollgate has a database, and so books that can be audited.
    """

    name: str
    base_url: str
    headers: Mapping[str, str]
    pids: tuple[int, ...]
    database_url: str | None = None

    @property
    def url(self) -> str:
        return f"{self.base_url}/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of wrk saw. `cpu_us` is what the peer's processes used for each call."""

    peer: str
    connections: int
    requests: int
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_us: float
    core_share: float


def run_load(peer: Peer, *, connections: int, seconds: int, cores: Cores) -> Run:
    """Raises BenchFailed on an answer that is no success: such a run measures something else."""
    before = cpu_seconds(peer.pids)
    seen = run_wrk(peer, connections=connections, seconds=seconds, cores=cores)
    used = cpu_seconds(peer.pids) - before
    if not seen["requests"] or seen["refused"] or seen["broken"] or seen["timed_out"]:
        raise BenchFailed(f"{peer.name} at c={connections} did not answer every call: {seen}")
    elapsed = seen["microseconds"] / 1e6
    return Run(
        peer=peer.name,
        connections=connections,
        requests=seen["requests"],
        requests_per_second=seen["requests"] / elapsed,
        p50_ms=seen["p50_us"] / 1000,
        p99_ms=seen["p99_us"] / 1000,
        max_ms=seen["max_us"] / 1000,
        cpu_us=used * 1e6 / seen["requests"],
        core_share=used / elapsed,
    )


def run_wrk(peer: Peer, *, connections: int, seconds: int, cores: Cores) -> dict[str, int]:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as body:
        json.dump(CALL, body, separators=(",", ":"))
        body.flush()
        command = ["taskset", "--cpu-list", str(cores.load)]
        command += ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s"]
        command += [f"--timeout={ANSWER_SECONDS_MAX}s", "-s", str(SCRIPT), peer.url, "--"]
        command += [body.name, *(f"{name}: {value}" for name, value in peer.headers.items())]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise BenchFailed(f"wrk against {peer.name}: {ended.stderr or ended.stdout}")
    seen: dict[str, int] = json.loads(ended.stdout.splitlines()[-1])
    return seen
