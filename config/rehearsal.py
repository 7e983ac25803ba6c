"""Rehearsal: what `test` does. Fresh engines, known secrets, pytest, and nothing left behind."""

import base64
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from config.accounts import die_with_parent
from config.engines import Engines
from config.environment import ROOT
from config.folder import Folder
from config.leftovers import remember_children
from config.programs import PartFailed, signal_child
from config.progress import say
from config.signals import Signals
from config.supervisor import EndAsked, StopAsked, Supervisor

PARALLEL = ("-n", "2", "--dist", "loadgroup")  # a group shares what is costly to start
PYTEST_STOP_SECONDS_MAX = 15.0
FAILED = 1
INTERRUPTED = 130


def rehearse(arguments: Sequence[str], given: Mapping[str, str]) -> int:
    """pytest's exit status."""
    place = Path(tempfile.mkdtemp(prefix="tollgate-test-"))
    try:
        return rehearse_in(Folder(place / "data"), arguments, given)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def rehearse_in(folder: Folder, arguments: Sequence[str], given: Mapping[str, str]) -> int:
    folder.open()
    with Signals() as signals:
        supervisor = Supervisor(signals, lambda pids: remember_children(folder, pids))
        engines = Engines(folder, {}, for_tests=True)
        try:
            engines.start(supervisor)
            return run_pytest(supervisor, arguments, environment_for(folder, engines, given))
        except PartFailed as error:
            say(str(error))
            return FAILED
        except (StopAsked, EndAsked):
            return INTERRUPTED
        finally:
            supervisor.end()
            engines.clear()


def run_pytest(
    supervisor: Supervisor, arguments: Sequence[str], environment: Mapping[str, str]
) -> int:
    """In our own session: pytest has the terminal, its colours, and Ctrl-C."""
    parent = os.getpid()
    pytest = subprocess.Popen(
        [sys.executable, "-m", "pytest", *parallel(arguments), *arguments],
        cwd=ROOT,
        env=dict(environment),
        preexec_fn=lambda: die_with_parent(parent, signal.SIGTERM),
    )
    try:
        while pytest.poll() is None:
            supervisor.pause(1.0)
    except (StopAsked, EndAsked):
        signal_child(pytest, signal.SIGINT)  # it ends its test and still prints its summary
        wait_briefly(pytest)
        raise
    finally:
        signal_child(pytest, signal.SIGKILL)
    return pytest.wait()


def wait_briefly(pytest: subprocess.Popen) -> None:
    try:
        pytest.wait(PYTEST_STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        say("pytest does not stop; ending it")


def parallel(arguments: Sequence[str]) -> Sequence[str]:
    """Two workers, unless the caller says how many or wants a debugger."""
    text = " ".join(arguments)
    has_own = any(word.startswith(("-n", "--numprocesses", "--pdb")) for word in arguments)
    return () if has_own or "no:xdist" in text else PARALLEL


def environment_for(
    folder: Folder, engines: Engines, given: Mapping[str, str]
) -> Mapping[str, str]:
    """The same secrets in every run; they open nothing outside these tests."""
    return {
        **given,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "TOLLGATE_DATA": str(folder.path),
        "DATABASE_URL": engines.database_url,
        "REDIS_URL": engines.redis_url,
        "SECRET_KEY": made_up("the tests' secret key"),
        "MASTER_KEY": "sk-" + made_up("the tests' master key")[:43],
        "VAULT_KEYS": made_up("the tests' vault key"),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(ROOT / ".pytest_cache" / "hypothesis"),
    }


def made_up(purpose: str) -> str:
    """44 characters that are always the same, and a Fernet key as well."""
    return base64.urlsafe_b64encode(hashlib.sha256(purpose.encode()).digest()).decode()
