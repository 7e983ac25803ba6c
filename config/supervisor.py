"""Supervisor: starts the parts, starts again what dies, and stops them in order, engines last."""

import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from config.programs import PartFailed, Program, signal_child
from config.progress import say
from config.signals import Signals

POLL_SECONDS = 0.05
DEATHS_MAX = 5
DEATHS_SECONDS = 60.0
RESTART_SECONDS = (0.0, 0.5, 1.0, 2.0)  # before the first, second ... restart in a row
END_SECONDS_MAX = 5.0

# What is used by others stops after them.
ENGINES, UPSTREAMS, SERVERS = 0, 1, 2


class StopAsked(Exception):
    """Somebody asked us to stop."""


class EndAsked(Exception):
    """Somebody asked twice."""


def nothing() -> None:
    """Most parts have nothing to put right before they start."""


@dataclass(slots=True, eq=False)
class Part:
    """A child that must run: `prepare` and start, again and again."""

    program: Program
    tier: int
    prepare: Callable[[], None] = nothing
    keeps: object = None  # what every start needs and must not be closed meanwhile
    child: subprocess.Popen | None = None
    starts_at: float = 0.0
    is_lost: bool = False
    deaths: deque[float] = field(default_factory=lambda: deque(maxlen=DEATHS_MAX))

    @property
    def name(self) -> str:
        return self.program.name

    def is_running(self) -> bool:
        return self.child is not None and self.child.poll() is None

    def start(self) -> None:
        """Raises PartFailed."""
        self.prepare()
        self.child = self.program.start()

    def note_death(self, now: float) -> None:
        """Set the time of the next start. Raises PartFailed when it has died too often."""
        self.child = None
        self.deaths.append(now)
        recent = sum(now - death < DEATHS_SECONDS for death in self.deaths)
        if recent >= DEATHS_MAX:
            self.is_lost = True
            raise PartFailed(f"{self.name} does not stay up: {recent} deaths within a minute")
        self.starts_at = now + RESTART_SECONDS[min(recent, len(RESTART_SECONDS)) - 1]


class Supervisor:
    """All its waits go through `pause`, which looks after the parts meanwhile."""

    def __init__(self, signals: Signals, remember: Callable[[Iterable[int]], None]) -> None:
        self.signals = signals
        self.remember = remember
        self.parts: list[Part] = []
        self.stopping_from: int | None = None  # this tier and those above are not started again

    def add(self, *parts: Part) -> None:
        """Start them. Raises PartFailed."""
        for part in parts:
            self.parts.append(part)
            part.start()
        self.remember_children()

    def watch(self) -> None:
        """Until somebody asks to stop (StopAsked), or a part is lost (PartFailed)."""
        while True:
            self.pause(1.0)

    def pause(self, seconds: float = POLL_SECONDS) -> None:
        self.signals.wait(seconds)
        if self.signals.stops_asked and self.stopping_from is None:
            raise StopAsked
        if self.signals.stops_asked > 1:
            raise EndAsked
        self.look_after_parts()

    def wait_until(self, is_so: Callable[[], bool], *, seconds_max: float, what: str) -> None:
        """Raises PartFailed, naming `what`, when it takes too long."""
        deadline = time.monotonic() + seconds_max
        while not is_so():
            if time.monotonic() > deadline:
                raise PartFailed(f"{what} is not ready after {seconds_max:.0f} s")
            self.pause()

    def run(self, program: Program) -> str:
        """Run a program to its end and return what it wrote. Raises PartFailed if it fails."""
        child = program.start()
        try:
            while child.poll() is None:
                self.pause()
        finally:
            signal_child(child, signal.SIGKILL)
            output, _ = child.communicate()
        if child.returncode != 0:
            raise PartFailed(f"{program.name} failed ({ending(child.returncode)})")
        return (output or b"").decode()

    def look_after_parts(self) -> None:
        now = time.monotonic()
        for part in self.parts:
            if part.is_running() or part.is_lost or self.is_stopping(part):
                continue
            if part.child is not None:
                say(f"{part.name} died ({ending(part.child.returncode)}); starting it again")
                part.note_death(now)
            if now >= part.starts_at:
                self.start_again(part)

    def start_again(self, part: Part) -> None:
        try:
            part.start()
        except PartFailed as error:
            say(str(error))
            part.note_death(time.monotonic())
        self.remember_children()

    def is_stopping(self, part: Part) -> bool:
        return self.stopping_from is not None and part.tier >= self.stopping_from

    def stop(self) -> None:
        """Ask the parts to stop, those that use others first. Raises EndAsked at a new signal."""
        for tier in (SERVERS, UPSTREAMS, ENGINES):
            self.stopping_from = tier
            running = [part for part in self.parts if part.tier == tier and part.is_running()]
            for part in running:
                signal_child(part.child, part.program.stop_signal)
            self.await_end(running)

    def await_end(self, parts: list[Part]) -> None:
        started = time.monotonic()
        while parts := [part for part in parts if part.is_running()]:
            try:
                self.pause()
            except PartFailed as error:
                say(str(error))  # a lower tier is lost; the others are stopped all the same
            for part in parts:
                if time.monotonic() - started > part.program.stop_seconds_max:
                    say(f"{part.name} does not stop; ending it")
                    signal_child(part.child, signal.SIGKILL)

    def end(self) -> None:
        """End everything now, without waiting for anybody's work."""
        self.stopping_from = ENGINES
        running = [part for part in reversed(self.parts) if part.is_running()]
        for part in running:
            signal_child(part.child, part.program.end_signal)
        deadline = time.monotonic() + END_SECONDS_MAX
        while time.monotonic() < deadline and any(part.is_running() for part in running):
            self.signals.wait(POLL_SECONDS)
        for part in running:
            signal_child(part.child, signal.SIGKILL)
            part.child.wait()

    def remember_children(self) -> None:
        self.remember(part.child.pid for part in self.parts if part.is_running())


def ending(returncode: int) -> str:
    """In the words of a person: the status of an exit, or the name of a signal."""
    if returncode >= 0:
        return f"exit {returncode}"
    return signal.Signals(-returncode).name
