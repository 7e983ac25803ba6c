"""Enters .venv with the standard library alone: makes it, fills it, and goes on inside it.

An installation that was cut short leaves its word in .venv.lock; the next run starts it afresh.
"""

import contextlib
import fcntl
import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from config.environment import ROOT
from config.progress import Ticker, say
from config.requirements import Requirements

UNFINISHED = "unfinished\n"
EXTRAS_OF = {"test": ("test",)}
VENV_MISSING = """\
Python's venv module is not complete here (ensurepip is missing).
On Debian and Ubuntu: apt-get install python3-venv
On other systems, install the package of your Python that holds venv, then run this again."""


def enter_venv(argv: Sequence[str]) -> None:
    """Return once all that the command needs can be imported. May replace this process."""
    extras = EXTRAS_OF.get(argv[1] if len(argv) > 1 else "", ())
    wanted = Requirements.of_project(ROOT, extras)
    venv = Venv(ROOT / ".venv")
    if not venv.is_running() and wanted.are_met():
        return  # an image or an environment of the caller's own, which already holds everything
    venv.provide(wanted)
    if not venv.is_running():
        os.execv(venv.python, [str(venv.python), *sys.orig_argv[1:]])
    importlib.invalidate_caches()


class Venv:
    """The environment beside manage.py. One run at a time changes it; the others wait."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"
        self.stamps = folder / "tollgate-stamps"
        self.lock = folder.with_name(folder.name + ".lock")

    def is_running(self) -> bool:
        return Path(sys.prefix).resolve() == self.folder.resolve()

    def is_filled(self, wanted: Requirements) -> bool:
        """A folder of stamps, one a set of extras: `up` accepts what `test` has installed."""
        if not os.access(self.python, os.X_OK):
            return False
        if self.is_running() and not has_module("django"):
            return False  # the Python that it was made from has moved on to another version
        stamp = f"{'-'.join(wanted.extras) or 'run'}.{wanted.stamp()}"
        return (self.stamps / stamp).exists()

    def provide(self, wanted: Requirements) -> None:
        if self.is_filled(wanted):
            return
        with self.changing() as word:
            if self.is_filled(wanted):
                return  # another run has done it while we waited
            if word.read() == UNFINISHED or not os.access(self.python, os.X_OK):
                self.leave_if_running()
                shutil.rmtree(self.folder, ignore_errors=True)
            write_word(word, UNFINISHED)
            self.make()
            self.install(wanted)
            write_word(word, "")

    @contextlib.contextmanager
    def changing(self) -> Iterator[IO[str]]:
        try:
            word = self.lock.open("a+", encoding="utf-8")
        except OSError as error:
            sys.exit(f"manage.py: packages are missing, and {self.lock} is not writable: {error}")
        with word:
            try:
                fcntl.flock(word, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("another run is installing packages; waiting for it")
                fcntl.flock(word, fcntl.LOCK_EX)
            word.seek(0)
            yield word

    def leave_if_running(self) -> None:
        """Go on in the interpreter that .venv was made from: nobody can replace his own floor."""
        if self.is_running():
            base = sys._base_executable  # type: ignore[attr-defined]
            os.execv(base, [base, *sys.orig_argv[1:]])

    def make(self) -> None:
        if os.access(self.python, os.X_OK):
            return
        say(f"making {self.folder.name} for Python {sys.version.split()[0]} (first run only)")
        options = [] if has_module("ensurepip") else ["--without-pip"]
        if options and not has_module("pip"):
            sys.exit(VENV_MISSING)
        command = [sys.executable, "-m", "venv", *options, str(self.folder)]
        if subprocess.run(command, stdout=sys.stderr, check=False).returncode != 0:
            sys.exit(VENV_MISSING)

    def install(self, wanted: Requirements) -> None:
        shutil.rmtree(self.stamps, ignore_errors=True)
        command = [*self.pip(), "install", "--disable-pip-version-check", "--no-input"]
        command += ["--progress-bar", "off", "-c", str(wanted.constraints), *wanted.lines]
        run_pip(command)
        self.stamps.mkdir(exist_ok=True)
        for extras in {(), wanted.extras}:
            smaller = Requirements.of_project(ROOT, extras)
            name = f"{'-'.join(extras) or 'run'}.{smaller.stamp()}"
            (self.stamps / name).touch()

    def pip(self) -> list[str]:
        """The venv's own pip, else the running interpreter's, told where to install."""
        if any(self.folder.glob("lib/python*/site-packages/pip/__main__.py")):
            return [str(self.python), "-m", "pip"]
        if has_module("pip"):
            return [sys.executable, "-m", "pip", "--python", str(self.python)]
        made = subprocess.run(
            [str(self.python), "-m", "ensurepip"], stdout=subprocess.DEVNULL, check=False
        )
        if made.returncode != 0:
            sys.exit(VENV_MISSING)
        return [str(self.python), "-m", "pip"]


def run_pip(command: Sequence[str]) -> None:
    """Show one line of progress, and all of pip's words only if it fails."""
    ticker = Ticker("fetching package")
    words: list[str] = []
    environment = {**os.environ, "PIP_USER": "0", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as pip:
        for line in pip.stdout or ():
            words.append(line)
            if line.startswith("Collecting "):
                ticker.tick(line.split()[1])
            if line.startswith("Installing collected packages"):
                say(f"installing {line.count(',') + 1} packages")
    if pip.returncode != 0:
        sys.stderr.write("".join(words[-40:]))
        sys.exit("manage.py: pip could not install the packages; its last words are above")
    ticker.end("packages are installed")


def write_word(word: IO[str], text: str) -> None:
    word.seek(0)
    word.truncate()
    word.write(text)
    word.flush()
    os.fsync(word.fileno())


def has_module(name: str) -> bool:
    return importlib.util.find_spec(name) is not None
