"""create_key: make a virtual key and print it, the secret included, as /key/generate answers."""

from argparse import ArgumentParser
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rest_framework.exceptions import ValidationError

from proxy.actions import create_key
from proxy.errors import first_problem
from proxy.key_answers import key_objects
from proxy.key_serializers import NewKey
from proxy.wire import write_json
from tags.errors import TurnedDown

ACTOR = "command line"
FIELDS = {
    "alias": "key_alias",
    "model": "models",
    "max_budget": "max_budget",
    "budget_duration": "budget_duration",
    "duration": "duration",
}


class Command(BaseCommand):
    help = "Make a virtual key and print it as JSON. The secret is shown here and nowhere else."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--alias", help="A unique name for the key.")
        parser.add_argument("--tag", action="append", help="A tag that all its calls carry.")
        parser.add_argument("--model", action="append", help="A model it may use; none: all.")
        parser.add_argument("--max-budget", type=amount, help="US dollars.")
        parser.add_argument("--budget-duration", help="30d, daily, monthly ...")
        parser.add_argument("--duration", help="How long the key lives, such as 90d.")

    def handle(self, *args: Any, **options: Any) -> None:
        body = {field: options[name] for name, field in FIELDS.items() if options[name] is not None}
        if options["tag"]:
            body["metadata"] = {"tags": options["tag"]}
        asked = NewKey(data=body)
        try:
            asked.is_valid(raise_exception=True)
            key, secret = create_key(asked.changes(), actor=ACTOR)
        except ValidationError as error:
            raise CommandError(first_problem(error.detail)[1]) from None
        except TurnedDown as error:
            raise CommandError(error.text) from None
        self.stdout.write(write_json({"key": secret, **key_objects([key])[0]}).decode())


def amount(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError from None  # argparse says which argument it was
