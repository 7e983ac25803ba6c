"""Deploy: what the files in deploy/ start exists, and what they set is a setting."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
MODULES = {"config.web": ROOT / "config/web.py", "config.celery:app": ROOT / "config/celery.py"}


def command_lines() -> list[str]:
    units = "\n".join(path.read_text() for path in UNITS)
    lines = re.findall(r"^ExecStart=\S*/(.*)", units, flags=re.MULTILINE)
    for service in COMPOSE["services"].values():
        command = service["command"]
        shell = re.fullmatch(r'sh -c "(.*)"', command)
        lines += shell[1].split(" && ") if shell else [command]
    return lines


def test_it_starts_web_worker_beat_and_what_they_need():
    assert set(COMPOSE["services"]) == {"prepare", "web", "worker", "beat"}
    named = {path.name for path in UNITS}
    assert named == {
        "tollgate-prepare.service", "tollgate-web@.service", "tollgate-worker.service",
        "tollgate-beat.service",
    }  # fmt: skip
    assert len(command_lines()) == 12


@pytest.mark.parametrize("line", command_lines())
def test_it_starts_what_exists(line):
    match shlex.split(line):
        case ["python", "manage.py", command, *_]:
            assert command in get_commands()
        case ["python", "-m", module, *options]:
            assert MODULES[module].exists()
            names = [option for option in options if option.startswith("--")]
            assert all(f'"{name}"' in MODULES[module].read_text() for name in names)
        case ["celery", "-A", module, "worker" | "beat", *_]:
            assert MODULES[module].exists()
        case _:
            pytest.fail(line)


def test_it_sets_what_the_readme_tells():
    names = re.findall(r"^(\w+)=", (DEPLOY / "tollgate.env.example").read_text(), re.MULTILINE)
    told = set(re.findall(r"`([A-Z_]+)`", (ROOT / "README.md").read_text()))

    assert len(names) == 10
    assert set(names) <= told


def test_its_health_check_asks_whether_calls_can_be_served():
    assert "/readyz" in " ".join(COMPOSE["services"]["web"]["healthcheck"]["test"])
