"""The budget API: /budget/*, pots that several tags and keys draw on."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from proxy.models import KeyDraw
from proxy.pot_serializers import AskedPots, NamedPot, PotFields, PotObject
from spend.models import Budget
from spend.standings import read_standings
from tags.budget_fields import dollars, standing_members
from tags.errors import NotThere
from tags.models import TagDraw
from tags.pots import change_pot, create_pot, delete_pot
from tags.serializers import TagMessage
from tags.views import ManagementView

EXAMPLE = {"budget_id": "q4-pot", "max_budget": 1000.0, "budget_duration": "quarterly"}


def example(value: Any) -> list[OpenApiExample]:
    return [OpenApiExample("q4-pot", value=value, request_only=True)]


class NewBudgetView(ManagementView):
    @extend_schema(request=PotFields, responses=PotObject, examples=example(EXAMPLE))
    def post(self, request: Request) -> Response:
        """Make a budget that tags and keys share."""
        asked = self.read(PotFields).validated_data
        pot = create_pot(asked.get("budget_id"), asked["terms"], actor=self.actor)
        return Response(pot_objects([pot])[0])


class UpdateBudgetView(ManagementView):
    @extend_schema(
        request=PotFields,
        responses=PotObject,
        examples=example({"budget_id": "q4-pot", "max_budget": 2000.0}),
    )
    def post(self, request: Request) -> Response:
        """Change what is present and nothing else, for all who draw on it."""
        stored = find_pot(self.named("budget_id"), "budget_id")
        asked = self.read(PotFields, instance=stored).validated_data
        pot = change_pot(stored.public_id, asked["terms"], actor=self.actor)
        return Response(pot_objects([pot])[0])


class BudgetInfoView(ManagementView):
    @extend_schema(
        request=AskedPots,
        responses=PotObject(many=True),
        examples=example({"budgets": ["q4-pot"]}),
    )
    def post(self, request: Request) -> Response:
        """Shared budgets by name, in the order asked."""
        names = list(dict.fromkeys(self.read(AskedPots).validated_data["budgets"]))
        found = Budget.objects.filter(is_pot=True).in_bulk(names, field_name="public_id")
        if missing := [name for name in names if name not in found]:
            raise NotThere(f"Budgets not found: {missing!r}", "budgets")
        return Response(pot_objects([found[name] for name in names]))


class BudgetListView(ManagementView):
    @extend_schema(responses=PotObject(many=True))
    def get(self, request: Request) -> Response:
        """All shared budgets."""
        return Response(pot_objects(Budget.objects.filter(is_pot=True).order_by("public_id")))


class DeleteBudgetView(ManagementView):
    @extend_schema(request=NamedPot, responses=TagMessage, examples=example({"id": "q4-pot"}))
    def post(self, request: Request) -> Response:
        """Delete a budget on which nobody draws any more."""
        name = self.read(NamedPot).validated_data["id"]
        delete_pot(name, actor=self.actor)
        return Response({"message": f"Budget {name} deleted successfully"})


def find_pot(name: str, field: str) -> Budget:
    """Raises NotThere."""
    pot = Budget.objects.filter(public_id=name, is_pot=True).first()
    if pot is None:
        raise NotThere(f"There is no shared budget '{name}'.", field)
    return pot


def pot_objects(pots: Iterable[Budget]) -> list[dict[str, Any]]:
    listed = list(pots)
    standings = read_standings(listed)
    tags: dict[int, list[str]] = defaultdict(list)
    for tag_draw in TagDraw.objects.filter(budget__in=listed).select_related("tag"):
        tags[tag_draw.budget_id].append(tag_draw.tag.name)
    keys: dict[int, list[str]] = defaultdict(list)
    for key_draw in KeyDraw.objects.filter(budget__in=listed).select_related("key"):
        keys[key_draw.budget_id].append(str(key_draw.key))
    return [
        {
            "budget_id": pot.public_id,
            "max_budget": dollars(pot.limit),
            "soft_budget": dollars(pot.soft_limit),
            "budget_duration": pot.duration,
            "budget_reset_at": standings[pot.pk].resets_at,
            "budget_mode": pot.mode,
            **standing_members(standings[pot.pk]),
            "tags": sorted(tags[pot.pk]),
            "keys": sorted(keys[pot.pk]),
            "created_at": pot.created_at,
            "updated_at": pot.updated_at,
        }
        for pot in listed
    ]
