"""create_key: the key of 5.2 on standard output, or what is wrong with the arguments."""

import json

import pytest
from django.core.management import CommandError, call_command

from proxy.credentials import digest_of
from proxy.models import APIKey
from spend.models import Audit
from tests.factories import make_key

pytestmark = pytest.mark.django_db


def test_it_prints_the_key(capsys):
    call_command(
        "create_key", "--alias=svc-a", "--tag=a", "--tag=b", "--model=gpt-4o", "--max-budget=25.5",
        "--budget-duration=30d", "--duration=90d",
    )  # fmt: skip

    printed = json.loads(capsys.readouterr().out)
    key = APIKey.objects.get()
    assert digest_of(printed["key"]) == key.digest == printed["token"]
    assert printed["key_alias"] == "svc-a"
    assert printed["metadata"] == {"tags": ["a", "b"]}
    assert printed["models"] == ["gpt-4o"]
    assert (printed["max_budget"], printed["budget_duration"]) == (25.5, "30d")
    assert printed["expires"] is not None
    assert key.budget.limit == 25_500_000_000
    assert Audit.objects.get().actor == "command line"


def test_it_needs_no_argument(capsys):
    call_command("create_key")

    assert json.loads(capsys.readouterr().out)["key"].startswith("sk-")


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("--tag=a,b", "metadata.tags\\[0\\]: must not contain a comma"),
        ("--max-budget=-1", "max_budget: must be between"),
        ("--max-budget=five", "--max-budget: invalid amount value"),
        ("--max-budget=NaN", "max_budget: must be a finite number"),
        ("--budget-duration=1y", "budget_duration: must be"),
        ("--duration=monthly", "duration: must be"),
        ("--alias=taken", "Another key is named 'taken'"),
    ],
)
def test_it_says_what_is_wrong(argument, says):
    make_key("taken")

    with pytest.raises(CommandError, match=says):
        call_command("create_key", argument)

    assert APIKey.objects.count() == 1
