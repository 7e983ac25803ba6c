"""Streams: many open at once through one worker; none may fail, and memory must stay low.

The upstream stamps each chunk with the time it was written, the readers subtract: the delay that
a chunk suffers, asked directly and through each gateway.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from tests.bench.books import audit_books
from tests.bench.call import CALL
from tests.bench.load import Peer
from tests.bench.machine import (
    BenchFailed,
    Cores,
    cpu_seconds,
    resident_bytes,
    scratch_folder,
    two_cores,
)
from tests.bench.peers import nginx, upstream
from tests.bench.report import print_table, write_report
from tests.bench.tollgate import tollgate

WARM_STREAMS = 50
STARTS_PER_SECOND = 300
SAMPLE_SECONDS = 0.2
COLUMNS = (
    "peer", "streams", "chunks_per_second", "delay_p50_ms", "delay_p99_ms",
    "cpu_us_per_chunk", "core_share", "kib_per_stream",
)  # fmt: skip


def measure_streams(streams: int, *, chunks: int, interval_ms: int) -> None:
    """Raises BenchFailed unless every stream was whole, all were open at once, the books agree."""
    if chunks * interval_ms < 2000 * ramp_seconds(streams):
        raise BenchFailed("A stream must last twice as long as it takes to start them all.")
    cores = two_cores()
    with ExitStack() as stack:
        scratch = stack.enter_context(scratch_folder())
        pace = {"chunks": chunks, "interval_ms": interval_ms}
        provider = stack.enter_context(upstream(cores, scratch, **pace))
        limit = stack.enter_context(nginx(provider, cores, scratch))
        tested = stack.enter_context(tollgate(provider, cores, scratch))
        figures = [
            measure_peer(peer, streams, **pace, cores=cores) for peer in (provider, limit, tested)
        ]
        books = audit_books(tested, provider, calls=streams + WARM_STREAMS)
    print_table(
        f"{streams} streams of {chunks} chunks, {interval_ms} ms apart",
        [name.replace("_", " ") for name in COLUMNS],
        [[row[name] for name in COLUMNS] for row in figures],
    )
    write_report("streams", {"pace": pace, "figures": figures, "books": books})


def measure_peer(
    peer: Peer, streams: int, *, chunks: int, interval_ms: int, cores: Cores
) -> dict[str, object]:
    seconds = chunks * interval_ms / 1000
    read_all(peer, WARM_STREAMS, chunks=chunks, seconds=seconds, cores=cores)
    cpu_before, memory_before = cpu_seconds(peer.pids), resident_bytes(peer.pids[0])
    with highest_memory(peer.pids[0]) as highest:
        found = read_all(peer, streams, chunks=chunks, seconds=seconds, cores=cores)
    used = cpu_seconds(peer.pids) - cpu_before
    if found["endings"] != {"done": streams}:
        raise BenchFailed(f"{peer.name}: not every stream was whole: {found}")
    if found["open_most"] != streams:  # heads that come with the end: chunks are held back
        raise BenchFailed(f"{peer.name}: the streams were not open together: {found}")
    return found | {
        "peer": peer.name,
        "streams": streams,
        "chunks_per_second": found["chunks"] / found["seconds"],
        "cpu_us_per_chunk": used * 1e6 / found["chunks"],
        "core_share": used / found["seconds"],
        "kib_per_stream": (highest[0] - memory_before) / 1024 / streams,
    }


def read_all(
    peer: Peer, streams: int, *, chunks: int, seconds: float, cores: Cores
) -> dict[str, object]:
    command = ["taskset", "--cpu-list", str(cores.load)]
    command += [sys.executable, "-m", "tests.bench.readers", peer.url]
    command += ["--headers", json.dumps(dict(peer.headers))]
    command += ["--call", json.dumps(CALL | {"stream": True}), "--streams", str(streams)]
    command += ["--chunks", str(chunks), "--ramp-seconds", str(ramp_seconds(streams))]
    command += ["--seconds-max", str(seconds)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise BenchFailed(f"The readers of {peer.name} died: {ended.stderr[-2000:]}")
    found: dict[str, object] = json.loads(ended.stdout)
    return found


def ramp_seconds(streams: int) -> float:
    """They start one by one: many at once would be another bench."""
    return streams / STARTS_PER_SECOND


@contextmanager
def highest_memory(pid: int) -> Iterator[Sequence[int]]:
    """The largest resident size while the block runs, in the one item of the list."""
    highest, stopped = [resident_bytes(pid)], threading.Event()

    def sample() -> None:
        while not stopped.wait(SAMPLE_SECONDS):
            highest[0] = max(highest[0], resident_bytes(pid))

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield highest
    finally:
        stopped.set()
        sampler.join()
