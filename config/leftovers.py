"""Leftovers: children of an earlier `up` that was killed outright and did not take them along.

On Linux the kernel ends them with their parent; elsewhere, and should that fail, the next start
does. An id is only trusted if that process's command line names our folder.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from config.folder import Folder
from config.progress import say

POLL_SECONDS = 0.05


def remember_children(folder: Folder, pids: Iterable[int]) -> None:
    folder.write_json(folder.children, {"pids": sorted(pids)})


def end_leftovers(folder: Folder) -> None:
    """Kill what an earlier `up` has left; PostgreSQL is ended by its own file, in its own way."""
    for pid in folder.read_json(folder.children).get("pids", []):
        words = command_line(pid)
        if str(folder.path) in words and not is_postgres(words):
            say(f"ending a part that an earlier start has left behind (process {pid})")
            end_by_id(pid, [(signal.SIGKILL, 5.0)])
    folder.children.unlink(missing_ok=True)


def end_postmaster(folder: Path) -> None:
    """End a PostgreSQL that still runs on the folder, and remove a file that names somebody else.

    PostgreSQL itself copes with a file whose process is gone. It refuses to start when the id has
    passed to another process, as it readily does in a container.
    """
    file = folder / "postmaster.pid"
    pid = read_pid(file)
    if pid is None or not is_alive(pid):
        return
    words = command_line(pid)
    if is_postgres(words) and str(folder) in words:
        say(f"ending the database that an earlier start has left behind (process {pid})")
        end_by_id(pid, [(signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)])
    else:
        file.unlink(missing_ok=True)


def read_pid(file: Path) -> int | None:
    try:
        return int(file.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def is_postgres(words: str) -> bool:
    return os.path.basename(words.split("\0", 1)[0]) == "postgres"


def command_line(pid: int) -> str:
    """The words of a process, each ended by NUL; empty if there is no such process."""
    path = Path(f"/proc/{pid}/cmdline")
    if Path("/proc/self/cmdline").exists():
        try:
            return os.fsdecode(path.read_bytes())
        except OSError:
            return ""
    shown = subprocess.run(
        ["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return shown.stdout.strip().replace(" ", "\0", 1)


def is_alive(pid: int) -> bool:
    """A zombie has ended: it only waits for its parent to notice."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not is_zombie(pid)


def is_zombie(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] == "Z"


def end_by_id(pid: int, signals: list[tuple[int, float]]) -> None:
    """Send one signal after the other, giving each its seconds."""
    for number, seconds in signals:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not is_alive(pid):
                return
            time.sleep(POLL_SECONDS)
