"""load_prices: load a price list into Price rows, and print what changed as one JSON object."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from spend.price_lists import BadPriceList
from spend.prices import load_catalogue, load_file


class Command(BaseCommand):
    help = "Load the price list that came with the package, or a file in LiteLLM's form."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only tell what would change.")
        parser.add_argument("--file", type=Path, help="LiteLLM's price JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        dry_run: bool = options["dry_run"]
        try:
            report = (
                load_file(options["file"], dry_run=dry_run)
                if options["file"]
                else load_catalogue(dry_run=dry_run)
            )
        except BadPriceList as refusal:
            raise CommandError(str(refusal)) from None
        self.stdout.write(json.dumps(report))
