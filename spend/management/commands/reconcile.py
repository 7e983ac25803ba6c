"""reconcile: the books counted again from their rows; JSON, and 1 as the end when they differ."""

import json
import sys
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.dateparse import parse_date, parse_datetime

from spend.reconcile import EVER, reconcile
from spend.reconciliation import AuditHead

DIFFERS = 1
UNKNOWN = 2  # it could not be found out


class Command(BaseCommand):
    help = (
        "Audit every invariant of the books from their rows, and change nothing."
        " Ends with 1 when anything differs."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--all", action="store_true", help="not only since the open windows")
        which.add_argument("--since", metavar="DATE", help="what began then or later, in UTC")
        parser.add_argument("--text", action="store_true", help="for people")
        parser.add_argument(
            "--audit-head", metavar="HEAD", help="an `audit_head` that was told before"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        since = EVER if options["all"] else options["since"] and read_moment(options["since"])
        head = options["audit_head"] and read_head(options["audit_head"])
        found = reconcile(since=since or None, known_head=head or None)
        told = found.as_text() if options["text"] else json.dumps(found.as_json())
        self.stdout.write(told)
        if not found.is_ok:
            sys.exit(DIFFERS)


def read_moment(text: str) -> datetime:
    """Raises CommandError."""
    try:
        moment = parse_datetime(text)
        if moment is None and (day := parse_date(text)):
            moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
    except ValueError:
        moment = None
    if moment is None:
        raise CommandError("--since takes a date such as 2026-01-31", returncode=UNKNOWN)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def read_head(text: str) -> AuditHead:
    """Raises CommandError."""
    try:
        return AuditHead.from_text(text)
    except ValueError:
        raise CommandError(
            "--audit-head takes what an earlier run told", returncode=UNKNOWN
        ) from None
