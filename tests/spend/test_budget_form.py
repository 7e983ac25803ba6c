"""BudgetForm: what people choose on a page, as the terms of a budget."""

from datetime import UTC, datetime

import pytest
from django import forms

from spend.budget_form import BudgetForm, kind_of
from spend.form_fields import BAD_AMOUNT
from tests.factories import dollars, make_budget


class Form(BudgetForm, forms.Form):
    """As on a page of its own."""

    def __init__(self, *args, budget=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.fill_in(budget)


def asked(budget=None, **fields):
    sent = {"kind": "standard", "duration": "monthly", "time_zone": "UTC"} | fields
    return Form(sent, budget=budget)


@pytest.mark.parametrize(
    ("fields", "terms"),
    [
        ({"limit": "5000"}, ("standard", dollars("5000"), None)),
        ({"limit": "5000", "kind": "strict"}, ("strict", dollars("5000"), None)),
        ({"limit": "5000", "soft_limit": "4000"}, ("standard", dollars("5000"), dollars("4000"))),
        (
            {"kind": "warn", "limit": "1", "soft_limit": "4000"},
            ("standard", None, dollars("4000")),
        ),
        ({"kind": "none", "limit": "x", "soft_limit": "1"}, ("standard", None, None)),
        ({}, ("standard", None, None)),
        ({"limit": "0"}, ("standard", 0, None)),
    ],
)
def test_it_works(fields, terms):
    form = asked(**fields)

    assert form.is_valid(), form.errors
    assert (form.terms["mode"], form.terms["limit"], form.terms["soft_limit"]) == terms
    assert form.terms["duration"] == "monthly"


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({"limit": "abc"}, {"limit": [BAD_AMOUNT]}),
        ({"limit": "5", "soft_limit": "6"}, {"soft_limit"}),
        ({"kind": "warn"}, {"soft_limit"}),
        ({"kind": "maybe"}, {"kind"}),
        ({"duration": "other"}, {"other_length"}),
        ({"duration": "other", "other_length": "a while"}, {"other_length"}),
        ({"duration": "fortnightly"}, {"duration"}),
        ({"time_zone": "Paris"}, {"time_zone"}),
        ({"duration": "", "start": "2026-01-01T00:00"}, {"start"}),
    ],
)
def test_it_says_at_the_field_what_is_wrong(fields, errors):
    form = asked(**fields)

    assert not form.is_valid()
    assert form.errors.keys() == set(errors)
    for field, texts in errors.items() if isinstance(errors, dict) else ():
        assert form.errors[field] == texts


def test_it_takes_another_length_and_knows_no_period():
    other = asked(duration="other", other_length=" 36h ")
    never = asked(duration="")

    assert other.is_valid()
    assert never.is_valid()
    assert (other.terms["duration"], never.terms["duration"]) == ("36h", None)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("terms", "kind"),
    [
        ({"limit": "5", "mode": "strict"}, "strict"),
        ({"limit": "0"}, "standard"),
        ({"soft_limit": "4"}, "warn"),
        ({}, "none"),
    ],
)
def test_it_shows_what_a_budget_is_and_says_the_same_again(terms, kind):
    start = datetime(2026, 1, 31, tzinfo=UTC)
    budget = make_budget(duration="2w", start=start, alert_thresholds=[50], **terms)
    shown = Form(budget=budget)
    values = {bound.name: bound.value() for bound in shown if bound.value() is not None}

    again = Form(values, budget=budget)

    assert (kind_of(budget), values["kind"], values["duration"]) == (kind, kind, "2w")
    assert again.is_valid(), again.errors
    assert again.terms == {name: getattr(budget, name) for name in again.terms}
