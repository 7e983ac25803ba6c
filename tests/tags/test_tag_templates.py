"""create_from_wire: a tag made of an operator's template, exact although settings hold floats."""

import pytest
from rest_framework.exceptions import ValidationError

from spend.models import Audit
from tags.models import Tag
from tags.serializers import create_from_wire
from tests.factories import make_tag

pytestmark = pytest.mark.django_db


def test_it_makes_a_tag_of_a_template():
    template = {
        "name": "customer-acme", "max_budget": 0.1, "budget_duration": "monthly",
        "budget_limits": [{"budget_duration": "daily", "max_budget": 0.000000001}],
    }  # fmt: skip

    create_from_wire(template, actor="traffic:svc")

    tag = Tag.objects.get()
    assert (tag.budget.limit, tag.budget.duration) == (100_000_000, "monthly")
    assert tag.draws.get().budget.limit == 1
    assert tag.created_by == Audit.objects.get().actor == "traffic:svc"


def test_it_leaves_a_tag_that_exists_as_it_is():
    make_tag("a", limit="5")

    create_from_wire({"name": "a", "max_budget": 1}, actor="traffic:svc")

    assert Tag.objects.get().budget.limit == 5_000_000_000


def test_it_refuses_a_bad_template():
    with pytest.raises(ValidationError):
        create_from_wire({"name": "a", "max_budgt": 1}, actor="traffic:svc")
    assert not Tag.objects.exists()
