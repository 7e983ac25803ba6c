"""Signals: what somebody asks of a command in the foreground, and a wait that hears it."""

import contextlib
import select
import signal
import socket
from types import FrameType

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """Counts the requests to stop. A wait ends early for those, and when a child dies."""

    def __init__(self) -> None:
        self.stops_asked = 0

    def __enter__(self) -> "Signals":
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.far.setblocking(False)
        self.earlier_descriptor = signal.set_wakeup_fd(self.far.fileno(), warn_on_full_buffer=False)
        self.earlier = {number: signal.signal(number, self.count_stop) for number in STOPS}
        self.earlier[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, ignore)
        return self

    def __exit__(self, *_: object) -> None:
        for number, action in self.earlier.items():
            signal.signal(number, action)
        signal.set_wakeup_fd(self.earlier_descriptor)
        self.near.close()
        self.far.close()

    def ignore_from_now(self) -> None:
        """For a command that has nothing left to do but to exit: another Ctrl-C changes nothing."""
        for number in STOPS:
            self.earlier[number] = signal.SIG_IGN
            signal.signal(number, signal.SIG_IGN)

    def count_stop(self, number: int, frame: FrameType | None) -> None:
        self.stops_asked += 1

    def wait(self, seconds: float) -> None:
        readable, _, _ = select.select([self.near], [], [], seconds)
        if readable:
            with contextlib.suppress(BlockingIOError):
                self.near.recv(4096)


def ignore(number: int, frame: FrameType | None) -> None:
    """Only here so that the signal wakes the wait up."""
