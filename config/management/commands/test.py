"""test: pytest, on a PostgreSQL and a Valkey of its own."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from config.environment import GIVEN
from config.postgres import EngineUnavailable
from config.rehearsal import rehearse

WRONG_USE = 2


class Command(BaseCommand):
    help = "Run the tests on engines of their own. All arguments go to pytest."
    requires_system_checks = []
    requires_migrations_checks = False

    def run_from_argv(self, argv: list[str]) -> None:
        """pytest parses its own arguments, and its exit status is ours."""
        try:
            sys.exit(rehearse(argv[2:], GIVEN))
        except EngineUnavailable as refusal:
            sys.stderr.write(f"manage.py test: {refusal}\n")
            sys.exit(WRONG_USE)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("arguments", nargs="*", help="arguments for pytest")

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(rehearse(options["arguments"], GIVEN))
