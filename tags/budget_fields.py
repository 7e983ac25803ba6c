"""Budget fields: wire names <-> our names of a budget's terms, alike for tags, keys and pots."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from spend.budgets import TERMS
from spend.models import Budget, BudgetMode
from spend.models.accounts import default_thresholds
from spend.money import to_dollars
from spend.standings import Standing
from spend.terms import BadTerm, complete_terms
from spend.windows import LENGTH_ALLOWED, parse_duration
from tags.changes import Changes
from tags.draws import FURTHER_MAX, POTS_MAX
from tags.fields import (
    RATE_LIMIT_MAX,
    Dollars,
    Flag,
    Moment,
    StrictSerializer,
    Text,
    Whole,
)

MODELS_MAX = 1_000
THRESHOLDS_MAX = 20
OPTIONAL: dict[str, Any] = {"required": False, "allow_null": True}

WIRE_NAMES = {
    "limit": "max_budget",
    "soft_limit": "soft_budget",
    "duration": "budget_duration",
    "start": "budget_start",
    "time_zone": "budget_time_zone",
    "mode": "budget_mode",
}
# What an explicit null means, for terms and columns that cannot be null themselves.
NULL_MEANS: Mapping[str, Any] = {
    "time_zone": lambda: settings.BUDGET_TIME_ZONE,
    "mode": lambda: BudgetMode.STANDARD.value,
    "alert_thresholds": default_thresholds,
    "description": str,
    "allowed_models": list,
    "blocked": lambda: False,
    "metadata": dict,
    "required_tags": list,
    "further": list,
    "pots": list,
}


class BudgetFields(StrictSerializer):
    """The terms of one budget. Given an instance, they are judged together with what it has."""

    max_budget = Dollars(source="limit", **OPTIONAL, help_text="Hard limit; null: unlimited.")
    soft_budget = Dollars(source="soft_limit", **OPTIONAL, help_text="Warns once per window.")
    budget_duration = Text(
        source="duration",
        **OPTIONAL,
        allow_blank=True,
        trim_whitespace=False,
        help_text=f"{LENGTH_ALLOWED}, or daily, weekly, monthly ...; null: never resets.",
    )
    budget_start = Moment(source="start", **OPTIONAL, help_text="Moves the phase of the windows.")
    budget_time_zone = Text(source="time_zone", **OPTIONAL, allow_blank=True)
    budget_mode = serializers.ChoiceField(
        BudgetMode.choices,
        source="mode",
        **OPTIONAL,
        error_messages={"invalid_choice": "must be standard or strict"},
    )
    alert_thresholds = serializers.ListField(
        child=Whole(min_value=1, max_value=100), max_length=THRESHOLDS_MAX, **OPTIONAL
    )

    def stored_budget(self) -> Budget | None:
        return None if self.instance is None else self.instance.budget

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        found = {name: _meaning(name, value) for name, value in attrs.items()}
        if "alert_thresholds" in found:
            found["alert_thresholds"] = sorted(set(found["alert_thresholds"]))
        terms = {name: found.pop(name) for name in TERMS if name in found}
        try:
            complete = complete_terms(
                terms, self.stored_budget(), time_zone=settings.BUDGET_TIME_ZONE
            )
        except BadTerm as error:
            raise ValidationError({WIRE_NAMES[error.term]: str(error)}) from None
        return found | {"terms": complete}


class FurtherBudget(BudgetFields):
    """An entry of `budget_limits`: the list replaces the old one, so every term is said."""

    answered = frozenset({"budget_id", "spend", "reserved", "remaining", "reset_at"})

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        given = super().validate(attrs)["terms"]
        return {
            "limit": None,
            "soft_limit": None,
            "duration": None,
            "start": None,
            "mode": BudgetMode.STANDARD.value,
            "alert_thresholds": default_thresholds(),
        } | given


class OwnerFields(BudgetFields):
    """What tags and keys have in common beside their own budget."""

    no_columns: frozenset[str] = frozenset()
    models = serializers.ListField(
        source="allowed_models",
        child=Text(max_length=255),
        max_length=MODELS_MAX,
        **OPTIONAL,
        help_text="Models, globs or deployment ids; []: all.",
    )
    budget_limits = FurtherBudget(source="further", many=True, max_length=FURTHER_MAX, **OPTIONAL)
    shared_budget_ids = serializers.ListField(
        source="pots", child=Text(max_length=128), max_length=POTS_MAX, **OPTIONAL
    )
    tpm_limit = Whole(min_value=1, max_value=2**63 - 1, **OPTIONAL)
    rpm_limit = Whole(min_value=1, max_value=2**63 - 1, **OPTIONAL)
    max_parallel_requests = Whole(min_value=1, max_value=RATE_LIMIT_MAX, **OPTIONAL)
    blocked = Flag(**OPTIONAL)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            self._refuse_another_budget(data)
        return super().to_internal_value(data)

    def validate_budget_limits(self, value: Sequence[Mapping[str, Any]] | None) -> Any:
        seen: set[Any] = set()
        for n, terms in enumerate(value or ()):
            if terms is None:  # DRF lets the items be null when the list may be
                raise ValidationError({n: "must be an object"})
            duration = terms["duration"] and parse_duration(terms["duration"])
            if duration in seen:
                text = "each further budget needs a duration of its own"
                raise ValidationError({n: {"budget_duration": [text]}})
            seen.add(duration)
        return value

    def validate_shared_budget_ids(self, value: Sequence[str] | None) -> Any:
        return value and list(dict.fromkeys(value))

    def changes(self) -> Changes:
        """What was asked, once it is valid."""
        found = dict(self.validated_data)
        columns = {name: value for name, value in found.items() if name not in self.no_columns}
        budget = columns.pop("terms")
        further, pots = columns.pop("further", None), columns.pop("pots", None)
        return Changes(columns, budget, further, pots)

    def _refuse_another_budget(self, data: Mapping[str, Any]) -> None:
        stored = self.stored_budget()
        given = data.get("budget_id")
        if given in (None, "") or (stored is not None and given == stored.public_id):
            return
        text = "cannot name another budget; to draw on a shared one, use shared_budget_ids"
        raise ValidationError({"budget_id": text})


def _meaning(name: str, value: Any) -> Any:
    return NULL_MEANS[name]() if value is None and name in NULL_MEANS else value


# -- in answers ----------------------------------------------------------------------------------


def standing_members(standing: Standing) -> dict[str, Any]:
    """What is in the open window of a budget."""
    return {
        "spend": to_dollars(standing.spent),
        "reserved": to_dollars(standing.reserved),
        "remaining": dollars(standing.remaining),
    }


def term_members(budget: Budget, standing: Standing) -> dict[str, Any]:
    """A budget's limits and schedule, with its next reset."""
    return {
        "max_budget": dollars(budget.limit),
        "soft_budget": dollars(budget.soft_limit),
        "budget_duration": budget.duration,
        "budget_mode": budget.mode,
        "budget_time_zone": budget.time_zone,
        "budget_start": budget.start,
        "budget_started_at": standing.starts_at,
        "budget_reset_at": standing.resets_at,
        "budget_id": budget.public_id,
    }


def further_members(budget: Budget, standing: Standing) -> dict[str, Any]:
    """An entry of `budget_limits`."""
    terms = term_members(budget, standing)
    del terms["budget_reset_at"], terms["budget_started_at"]
    return {
        **terms,
        "alert_thresholds": budget.alert_thresholds,
        **standing_members(standing),
        "reset_at": standing.resets_at,
    }


def dollars(nanos: int | None) -> Any:
    return None if nanos is None else to_dollars(nanos)
