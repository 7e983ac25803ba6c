"""The tools agree: lint, format, types, and no model without its migration."""

import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

ROOT = Path(__file__).parent.parent


def run_tool(*command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_it_is_linted():
    run_tool("ruff", "check", ".")


def test_it_is_formatted():
    run_tool("ruff", "format", "--check", ".")


def test_its_types_hold():
    run_tool("mypy")


@pytest.mark.django_db
def test_its_models_have_migrations():
    call_command("makemigrations", check=True, dry_run=True, stdout=StringIO())
