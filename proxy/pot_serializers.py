"""Serializers: the wire's bodies about shared budgets <-> a pot's terms."""

from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from spend.models import Budget
from tags.budget_fields import OPTIONAL, BudgetFields
from tags.fields import Dollars, StrictSerializer, Text
from tags.known_fields import BUDGET_FIELDS
from tags.names import BadTag, clean_tag

BUDGETS_MAX = 500


class PotFields(BudgetFields):
    """A pot's terms and its name."""

    answered = frozenset(
        {"spend", "reserved", "remaining", "budget_reset_at", "tags", "keys", "created_at",
         "updated_at"}
    )  # fmt: skip
    litellm = BUDGET_FIELDS
    budget_id = Text(max_length=128, **OPTIONAL, help_text="A name; without one, an id is made.")

    def stored_budget(self) -> Budget | None:
        return self.instance

    def validate_budget_id(self, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            return clean_tag(value)
        except BadTag as error:
            raise ValidationError(str(error)) from None


class AskedPots(StrictSerializer):
    budgets = serializers.ListField(child=Text(max_length=128), max_length=BUDGETS_MAX)


class NamedPot(StrictSerializer):
    id = Text(max_length=128)


class PotObject(PotFields):
    spend = Dollars(read_only=True)
    reserved = Dollars(read_only=True)
    remaining = Dollars(read_only=True, allow_null=True)
    budget_reset_at = serializers.DateTimeField(read_only=True, allow_null=True)
    tags = serializers.ListField(child=serializers.CharField(), read_only=True)
    keys = serializers.ListField(child=serializers.CharField(), read_only=True)
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)
