"""Cores and children: what runs where, what it used, and that it ends with us."""

import os
import platform
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".data" / "bench"  # caches and results; not in version control
START_SECONDS_MAX = 120
STOP_SECONDS_MAX = 20


class BenchFailed(Exception):
    """A run that proves nothing: a part did not start, an answer was wrong, the books are off."""


@dataclass(frozen=True, slots=True)
class Cores:
    """What is tested has one core to itself; load and upstream share the other."""

    tested: int
    load: int


def two_cores() -> Cores:
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise BenchFailed("The bench needs Linux and two cores: one tested, one for the load.")
    return Cores(tested=usable[0], load=usable[1])


def describe_machine() -> dict[str, object]:
    with open("/proc/cpuinfo") as lines:
        models = [line.partition(": ")[2].strip() for line in lines if "model name" in line]
    return {
        "cores": os.cpu_count(),
        "processor": models[0] if models else platform.machine(),
        "memory_mib": psutil.virtual_memory().total >> 20,
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_average": os.getloadavg(),
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Gone after the block, but for the logs of the last bench, in `.data/bench/logs`."""
    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as name:
        try:
            yield Path(name)
        finally:
            kept = FOLDER / "logs"
            kept.mkdir(parents=True, exist_ok=True)
            for log in Path(name).glob("*.log"):
                shutil.copy(log, kept)


@contextmanager
def child(
    command: Sequence[str],
    *,
    core: int | str,
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path = ROOT,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process group of its own, on a core or a list of cores; it is gone when the block ends."""
    with log.open("wb") as written:
        process = subprocess.Popen(
            ["taskset", "--cpu-list", str(core), *command],
            env={**os.environ, **(environment or {})},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS_MAX)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Any answer below 500 will do: the part listens and is up."""
    give_up = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < give_up:
        if process.poll() is not None:
            break
        with suppress(OSError):
            if status_of(url) < 500:
                return
        time.sleep(0.1)
    raise BenchFailed(f"{url} did not come up:\n{log.read_text(errors='replace')[-2000:]}")


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def family(pids: Iterable[int]) -> list[psutil.Process]:
    """The processes and all that they started."""
    found: dict[int, psutil.Process] = {}
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            head = psutil.Process(pid)
            found.update({one.pid: one for one in (head, *head.children(recursive=True))})
    return list(found.values())


def cpu_seconds(pids: Iterable[int]) -> float:
    """So far, of the processes and all that they started, those that have ended included."""
    total = 0.0
    for process in family(pids):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def resident_bytes(pid: int) -> int:
    """Of the process and all that it started."""
    return sum(int(process.memory_info().rss) for process in family([pid]))
