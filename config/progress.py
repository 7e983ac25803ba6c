"""Progress: lines for whoever watches, always on standard error."""

import sys
import time


def say(text: str) -> None:
    sys.stderr.write(f"tollgate: {text}\n")
    sys.stderr.flush()


class Ticker:
    """Counts things that come one by one: in place on a terminal, every tenth elsewhere."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.count = 0
        self.started = time.monotonic()

    def tick(self, name: str) -> None:
        self.count += 1
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\033[Ktollgate: {self.label} {self.count}: {name}")
            sys.stderr.flush()
        elif self.count % 10 == 0:
            say(f"{self.label} {self.count}: {name}")

    def end(self, text: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write("\r\033[K")
        say(f"{text} ({time.monotonic() - self.started:.0f} s)")
