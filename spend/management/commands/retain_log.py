"""retain_log: drop the old, reconciled months of the log, or tell which ones would go."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from spend.retention import BooksDiffer, LogInUse, retain_log


class Command(BaseCommand):
    help = "Drop whole months of the log that are older than LOG_RETENTION_MONTHS and reconciled."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--months", type=int, help="instead of LOG_RETENTION_MONTHS")
        parser.add_argument("--dry-run", action="store_true", help="only tell what would go")

    def handle(self, *args: Any, **options: Any) -> None:
        months = options["months"]
        months = settings.LOG_RETENTION_MONTHS if months is None else months
        if months < 0:
            raise CommandError("--months must be at least 0.")
        try:
            gone = retain_log(months, is_dry=options["dry_run"], actor="command line")
        except (BooksDiffer, LogInUse) as error:
            raise CommandError(f"Nothing more is dropped: {error}") from None
        verb = "would drop" if options["dry_run"] else "dropped"
        self.stdout.write("\n".join(f"{verb} {name}" for name in gone) or "nothing is old enough")
