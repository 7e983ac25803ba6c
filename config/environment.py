"""The environment as the caller gave it, before settings read the data folder into it."""

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).resolve().parent.parent

# `up` must tell a DATABASE_URL that its caller set from one that an earlier `up` left in the
# data folder; once Django's settings are loaded, os.environ holds both.
GIVEN: Mapping[str, str] = MappingProxyType(dict(os.environ))


def settle(argv: Sequence[str]) -> None:
    """Name the settings module, and the data folder if `up --data` does."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    folder = folder_in(argv)
    if folder is not None:
        os.environ["TOLLGATE_DATA"] = str(Path(folder).absolute())


def folder_in(argv: Sequence[str]) -> str | None:
    """What `up --data DIR` says; settings are loaded before Django parses a command's options."""
    if list(argv[1:2]) != ["up"]:
        return None
    parser = argparse.ArgumentParser(prog="manage.py up", add_help=False)
    parser.add_argument("--data")
    known, _ = parser.parse_known_args(argv[2:])
    return known.data or None
