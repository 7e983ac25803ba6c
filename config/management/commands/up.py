"""up: everything in the foreground, on this machine, with one command."""

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from config.engines import EngineUnavailable
from config.environment import GIVEN
from config.folder import Folder, FolderRefused
from config.launch import Launch
from config.listening import AddressRefused

WRONG_USE = 2
PRODUCTION_NAMES = ("TOLLGATE_ENV", "DJANGO_ENV")
PRODUCTION_REFUSED = """\
manage.py up: refused, as {name}=production is set.
`up` is for one person on one machine: it makes its own secrets, listens without TLS and shows its
log-in on the terminal. The folder deploy/ holds what runs Tollgate in production."""


class Command(BaseCommand):
    help = "Start everything: engines, web workers, jobs and a demo, until Ctrl-C."
    requires_system_checks = []
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
        parser.add_argument("--port", type=port, default=8000, help="0 takes a free one")
        parser.add_argument("--data", help="the data folder; default: .data beside manage.py")
        parser.add_argument("--workers", type=count, default=1, help="web workers")
        parser.add_argument("--no-demo", action="store_true", help="start with nothing in it")

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_production(GIVEN)
        launch = Launch(
            folder=Folder(settings.DATA_DIR),
            host=options["host"],
            port=options["port"],
            workers=options["workers"],
            with_demo=not options["no_demo"],
            given=GIVEN,
        )
        try:
            sys.exit(launch.run())
        except (FolderRefused, AddressRefused, EngineUnavailable) as refusal:
            self.stderr.write(f"manage.py up: {refusal}")
            sys.exit(WRONG_USE)


def refuse_production(given: Mapping[str, str]) -> None:
    for name in PRODUCTION_NAMES:
        if given.get(name, "").lower() in ("production", "prod"):
            sys.stderr.write(PRODUCTION_REFUSED.format(name=name) + "\n")
            sys.exit(WRONG_USE)


def port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return number


def count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least one worker is needed")
    return number
