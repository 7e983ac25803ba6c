"""seed_demo: models, tags, keys and history to look at; prints one JSON object with the key."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from proxy.addresses import BadAddress, clean_address
from proxy.demo import seed_demo


class Command(BaseCommand):
    help = "On an empty database: two demo models, tags with budgets, a key, four weeks of history."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--upstream", required=True, help="Where the demo upstream listens.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            address = clean_address(options["upstream"])
        except BadAddress as refusal:
            raise CommandError(f"--upstream {refusal}") from None
        self.stdout.write(json.dumps({"api_key": seed_demo(address)}))
