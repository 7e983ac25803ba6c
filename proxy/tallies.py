"""Tallies: the workers' counters, each in a file of its own, added up by readers.

A worker writes its file once a second, so counting itself writes nothing. The file of a worker that
died stays, because its calls were made: a sum that fell would read as a restart. A worker that
starts adds the files of the dead to one.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident

from proxy.counters import SETTLE_QUEUE, Series, join_counts

PAST = "past.json"


class Tallies:
    """The folder. Files are named for the process that writes them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, counts: Mapping[Series, int]) -> None:
        """Whole or not at all: a reader never sees half of it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.folder / f"{name}.{get_ident()}.draft"  # a reader's wish may cross the tick
        draft.write_text(json.dumps([[*series, count] for series, count in counts.items()]))
        draft.replace(self.folder / f"{name}.json")

    def read(self) -> dict[Series, int]:
        """All workers' together, living and dead."""
        with self._locked():
            return join_counts([read_counts(path) for path in self.folder.glob("*.json")])

    def bury_dead(self) -> None:
        with self._locked():
            dead = [path for path in self.folder.glob("*-*.json") if not is_alive(path)]
            if dead:
                past = self.folder / PAST
                told = [path for path in (*dead, past) if path.exists()]
                total = join_counts([read_counts(path) for path in told])
                total.pop(SETTLE_QUEUE, None)  # nobody's any more: the sweep has settled it
                self.write(past.stem, total)
                for path in dead:
                    path.unlink()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def read_counts(path: Path) -> dict[Series, int]:
    return {tuple(series): count for *series, count in json.loads(path.read_text())}


def is_alive(path: Path) -> bool:
    """By the number before the dash, which is its process's."""
    try:
        os.kill(int(path.name.split("-")[0]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
