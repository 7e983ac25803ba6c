"""Deploy check: Django warns of nothing once pages are HTTPS only, and of plain cookies else."""

import os
import subprocess
import sys

from config.environment import ROOT

SECRET = "k3y-" * 8 + "aBcDeFgHiJkLmNoPqRsTuVwXyZ"


def checked(tmp_path, **settings):
    environment = os.environ | {"TOLLGATE_DATA": str(tmp_path), "SECRET_KEY": SECRET}
    environment |= {"DEBUG": "0"} | settings
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_it_is_clean_over_https_and_warns_of_plain_cookies(tmp_path):
    clean = checked(tmp_path, HTTPS_ONLY="1")
    plain = checked(tmp_path, HTTPS_ONLY="0")

    assert clean.returncode == 0, clean.stderr
    assert plain.returncode == 1
    assert "security.W012" in plain.stderr
