"""Programs: what to start as a child of ours, how it starts, and how it is asked to stop."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from config.accounts import die_with_parent

LOG_BYTES_MAX = 20 * 1024 * 1024


class PartFailed(Exception):
    """A part did not start; the text names it."""


@dataclass(frozen=True, slots=True)
class Program:
    """A command line, and all that its child is to get from us and nothing else."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path = Path("/")
    log: Path | None = None  # None: our standard error
    descriptors: tuple[int, ...] = ()
    become: Callable[[], None] | None = None
    stop_signal: int = signal.SIGTERM
    stop_seconds_max: float = 30.0
    end_signal: int = signal.SIGKILL  # at once: from us, or from the kernel when we are gone
    keeps_output: bool = False

    def start(self) -> subprocess.Popen:
        """Raises PartFailed when it cannot even be executed."""
        with open_log(self.log) as log:
            try:
                return subprocess.Popen(
                    list(self.command),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE if self.keeps_output else log,
                    stderr=log,
                    env=dict(self.environment),
                    cwd=self.folder,
                    pass_fds=self.descriptors,
                    start_new_session=True,  # Ctrl-C reaches us alone, and we end it in order
                    preexec_fn=self.between_fork_and_exec(),
                )
            except subprocess.SubprocessError as error:
                raise PartFailed(f"{self.name} could not become another user") from error
            except OSError as error:
                raise PartFailed(f"{self.name} cannot be started: {error}") from error

    def between_fork_and_exec(self) -> Callable[[], None]:
        parent = os.getpid()

        def prepare() -> None:
            if self.become is not None:
                self.become()
            die_with_parent(parent, self.end_signal)

        return prepare


@contextlib.contextmanager
def open_log(path: Path | None):
    """Our standard error, or a file that is put aside once when it has grown large."""
    if path is None:
        yield sys.stderr.fileno()
        return
    if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
        path.replace(path.with_name(path.name + ".1"))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def signal_child(child: subprocess.Popen, number: int) -> None:
    """Send to a child that has not been waited for, so its id cannot be anybody else's."""
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(number)


def last_words(path: Path, lines: int = 8) -> str:
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
