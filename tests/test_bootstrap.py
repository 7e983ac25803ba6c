"""The first run: .venv is made with the standard library, and mended when that was cut short."""

import ast
import os
import re
import subprocess
import sys

import pytest

from config import bootstrap
from config.bootstrap import VENV_MISSING, Venv
from config.environment import ROOT, folder_in
from config.requirements import Requirements, fits, is_met

MANAGE = ROOT / "manage.py"
PIN = re.compile(r"[a-z0-9-]+==[0-9][0-9a-z.]*")


class Pip:
    """Plays pip: notes what it was asked, or fails as if the power had gone."""

    def __init__(self):
        self.asked = []
        self.fails = False

    def __call__(self, command):
        if self.fails:
            raise KeyboardInterrupt
        self.asked.append(command)


@pytest.fixture
def pip(monkeypatch):
    pip = Pip()
    monkeypatch.setattr(bootstrap, "run_pip", pip)
    return pip


@pytest.fixture
def venv(tmp_path, monkeypatch):
    """Made by hand, as the real one takes seconds."""

    def make(self):
        self.python.parent.mkdir(parents=True, exist_ok=True)
        self.python.unlink(missing_ok=True)
        self.python.symlink_to(sys.executable)

    monkeypatch.setattr(Venv, "make", make)
    monkeypatch.setattr(Venv, "pip", lambda self: ["pip"])
    return Venv(tmp_path / ".venv")


@pytest.fixture
def wanted():
    return Requirements.of_project(ROOT)


def test_it_works(venv, pip, wanted):
    venv.provide(wanted)

    assert venv.is_filled(wanted)
    assert len(pip.asked) == 1
    assert pip.asked[0][-len(wanted.lines) :] == list(wanted.lines)
    assert ["-c", str(ROOT / "constraints.txt")] == pip.asked[0][6:8]


def test_it_installs_once(venv, pip, wanted):
    venv.provide(wanted)
    venv.provide(wanted)

    assert len(pip.asked) == 1


def test_it_installs_again_when_more_is_wanted(venv, pip, wanted):
    for_tests = Requirements.of_project(ROOT, ("test",))
    venv.provide(wanted)

    venv.provide(for_tests)
    venv.provide(wanted)

    assert len(pip.asked) == 2
    assert any(line.startswith("pytest>") for line in pip.asked[1])


def test_it_installs_again_when_a_pin_has_moved(venv, pip, wanted, tmp_path):
    (tmp_path / "constraints.txt").write_text("django==5.2.1\n")
    older = Requirements(wanted.lines, tmp_path / "constraints.txt", ())

    assert older.stamp() != wanted.stamp()


def test_it_starts_afresh_after_an_installation_that_was_cut_short(venv, pip, wanted):
    pip.fails = True
    with pytest.raises(KeyboardInterrupt):
        venv.provide(wanted)
    half = venv.folder / "half-installed"
    half.touch()
    pip.fails = False

    venv.provide(wanted)

    assert not half.exists()
    assert venv.is_filled(wanted)
    assert venv.lock.read_text() == ""


def test_it_keeps_an_environment_that_only_lacks_packages(venv, pip, wanted):
    venv.make()
    kept = venv.folder / "kept"
    kept.touch()

    venv.provide(wanted)

    assert kept.exists()
    assert len(pip.asked) == 1


def test_it_makes_an_environment_anew_whose_python_is_gone(venv, pip, wanted):
    venv.provide(wanted)
    venv.python.unlink()
    venv.python.symlink_to("/no/such/python")

    venv.provide(wanted)

    assert os.access(venv.python, os.X_OK)
    assert len(pip.asked) == 2


def test_it_names_the_cure_where_venv_is_missing(tmp_path, monkeypatch, wanted):
    monkeypatch.setattr(bootstrap, "has_module", lambda name: name == "django")

    with pytest.raises(SystemExit) as end:
        Venv(tmp_path / ".venv").provide(wanted)

    assert end.value.code == VENV_MISSING
    assert "apt-get install python3-venv" in VENV_MISSING


def test_it_shows_what_pip_said_when_it_fails(capfd):
    code = "import sys; print('ERROR: no matching distribution'); sys.exit(1)"

    with pytest.raises(SystemExit, match="pip could not install"):
        bootstrap.run_pip([sys.executable, "-c", code])

    assert "ERROR: no matching distribution" in capfd.readouterr().err


def test_it_shows_progress_while_pip_works(capfd):
    lines = [f"Collecting package-{n}>=1" for n in range(12)]
    lines.append("Installing collected packages: a, b, c")

    bootstrap.run_pip([sys.executable, "-c", f"print({chr(10).join(lines)!r})"])

    shown = capfd.readouterr().err
    assert "fetching package 10: package-9>=1" in shown
    assert "installing 3 packages" in shown


def test_an_environment_of_the_callers_own_is_used_as_it_is(monkeypatch):
    monkeypatch.setattr(Requirements, "are_met", lambda self: True)
    monkeypatch.setattr(Venv, "is_running", lambda self: False)
    monkeypatch.setattr(Venv, "provide", lambda self, wanted: pytest.fail("it must not install"))

    bootstrap.enter_venv(["manage.py", "up"])


def test_it_goes_on_in_the_environment_that_it_has_made(monkeypatch):
    entered = []
    monkeypatch.setattr(Requirements, "are_met", lambda self: False)
    monkeypatch.setattr(Venv, "is_running", lambda self: False)
    monkeypatch.setattr(Venv, "provide", lambda self, wanted: None)
    monkeypatch.setattr(os, "execv", lambda path, words: entered.append((path, words)))

    bootstrap.enter_venv(["manage.py", "up"])

    python = ROOT / ".venv" / "bin" / "python"
    assert entered == [(python, [str(python), *sys.orig_argv[1:]])]


@pytest.mark.parametrize(
    ("requirement", "met"),
    [
        ("django>=5.2,<5.3", True),
        ("django>=6", False),
        ("Django", True),
        ("psycopg[binary]>=3.2", True),
        ("no-such-distribution", False),
        ("no-such-distribution; sys_platform == 'win32'", True),
    ],
)
def test_it_knows_what_is_installed(requirement, met):
    assert is_met(requirement) is met


@pytest.mark.parametrize(
    ("installed", "operator", "bound", "fit"),
    [
        ("5.2", ">=", "5.2.0", True),
        ("5.10", ">=", "5.9", True),
        ("5.3", "<", "5.3", False),
        ("5.2.19", "<", "5.3", True),
        ("1.0rc1", "==", "1.0", True),
        ("2.0", "==", "2.1", False),
    ],
)
def test_it_compares_versions_by_number(installed, operator, bound, fit):
    assert fits(installed, operator, bound) is fit


def test_constraints_pin_everything_by_version_alone():
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    names = {pin.split("==")[0] for pin in pins}

    assert [pin for pin in pins if not PIN.fullmatch(pin)] == []
    for line in Requirements.of_project(ROOT, ("test",)).lines:
        assert re.match(r"[a-z0-9-]+", line).group() in names


def test_the_first_step_needs_the_standard_library_alone():
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import config.bootstrap"

    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


def test_an_older_python_is_told_what_to_do():
    ast.parse(MANAGE.read_text(), feature_version=(3, 6))
    code = "import sys, runpy; sys.version_info = (3, 10, 1); runpy.run_path("
    command = [sys.executable, "-c", f"{code}{str(MANAGE)!r}, run_name='__main__')", "up"]

    told = subprocess.run(command, capture_output=True, text=True, check=False)

    assert told.returncode == 1
    assert "Tollgate needs Python 3.11 or newer" in told.stderr


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [
        (["up"], None),
        (["up", "--data", "here"], "here"),
        (["up", "--port", "0", "--data=here"], "here"),
        (["test", "--data", "here"], None),
        ([], None),
    ],
)
def test_the_data_folder_is_known_before_settings_are_read(arguments, folder):
    assert folder_in(["manage.py", *arguments]) == folder
