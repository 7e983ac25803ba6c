"""prepare_ledger: make partitions ahead and account for the calls of workers that are gone."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from spend.partitions import make_partitions
from spend.rollover import roll_over_idle_budgets
from spend.sweep import sweep_reservations


class Command(BaseCommand):
    help = "Make log partitions ahead and account for the calls of workers that are gone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--alone",
            action="store_true",
            help="No worker runs anywhere: believe the first look.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        made = make_partitions()
        swept = sweep_reservations(second_look_seconds=0 if options["alone"] else 5)
        rolled = roll_over_idle_budgets()
        self.stdout.write(
            f"{made} partitions made, {swept} calls accounted for, {rolled} windows opened"
        )
