"""The engine room: engines of a test's own, started and ended by the test's own hand."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from config.engines import Engines
from config.folder import Folder
from config.signals import Signals
from config.supervisor import Part, Supervisor

WAIT_SECONDS_MAX = 45.0


@dataclass(frozen=True, slots=True)
class EngineRoom:
    engines: Engines
    supervisor: Supervisor

    def part(self, name: str) -> Part:
        return next(part for part in self.supervisor.parts if part.name == name)

    def ask(self, query: str, *values: object) -> tuple | None:
        with psycopg.connect(self.engines.database_url, autocommit=True) as connection:
            cursor = connection.execute(query, values or None)
            return cursor.fetchone() if cursor.description else None


@contextlib.contextmanager
def engine_room(path: Path) -> Iterator[EngineRoom]:
    folder = Folder(path)
    folder.open()
    with folder.held(), Signals() as signals:
        room = EngineRoom(Engines(folder, {}), Supervisor(signals, lambda pids: None))
        try:
            room.engines.start(room.supervisor)
            yield room
        finally:
            room.supervisor.end()
            room.engines.clear()


def wait_until(is_so: Callable[[], bool], *, seconds_max: float = WAIT_SECONDS_MAX) -> None:
    deadline = time.monotonic() + seconds_max
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
