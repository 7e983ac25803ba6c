"""Factories: rows as tests need them. Dollars are text; what is not said has a default.

They use the real verbs, so what they make is what an operator would have made. Names are unique
unless they are given, so that tests do not meet.
"""

from decimal import Decimal
from itertools import count
from typing import Any

from proxy.credentials import digest_of, new_secret
from proxy.deployments import create_deployment
from proxy.models import APIKey, Deployment
from proxy.upstream_terms import UpstreamTerms
from spend.budgets import create_budget
from spend.models import Budget
from spend.money import parse_dollars_text
from tags.actions import create_tag
from tags.changes import Changes
from tags.models import Tag

ACTOR = "test"
DOLLAR_TERMS = ("limit", "soft_limit")
MILLION = Decimal(1_000_000)

_numbers = count(1)


def unique(word: str) -> str:
    return f"{word}-{next(_numbers)}"


def dollars(text: str) -> int:
    return parse_dollars_text(text)


def budget_terms(**terms: Any) -> dict[str, Any]:
    """`limit="10"` in dollars, the rest as Budget has it."""
    return {
        name: dollars(value) if name in DOLLAR_TERMS and value is not None else value
        for name, value in terms.items()
    }


def make_budget(**terms: Any) -> Budget:
    return create_budget(**budget_terms(**terms))


def make_pot(**terms: Any) -> Budget:
    return make_budget(is_pot=True, **terms)


def make_tag(
    name: str | None = None,
    *,
    further: list[dict[str, Any]] | None = None,
    pots: list[Budget] | None = None,
    columns: dict[str, Any] | None = None,
    **terms: Any,
) -> Tag:
    """`terms` are those of its own budget, `columns` its other fields."""
    changes = Changes(
        columns=columns or {},
        budget=budget_terms(**terms),
        further=None if further is None else [budget_terms(**own) for own in further],
        pots=None if pots is None else [pot.public_id for pot in pots],
    )
    return create_tag(name or unique("tag"), changes, actor=ACTOR)


def make_key(
    alias: str | None = None,
    *,
    secret: str | None = None,
    tags: tuple[str, ...] = (),
    columns: dict[str, Any] | None = None,
    **terms: Any,
) -> APIKey:
    """Its secret, which is stored nowhere, is the attribute `secret`."""
    secret = secret or new_secret()
    key = APIKey.objects.create(
        alias=alias or unique("key"),
        digest=digest_of(secret),
        ending=secret[-4:],
        budget=make_budget(**terms),
        **{"metadata": {"tags": list(tags)} if tags else {}, **(columns or {})},
    )
    key.secret = secret
    return key


def make_model(
    name: str | None = None,
    *,
    address: str = "http://127.0.0.1:1/v1",
    upstream_model: str | None = None,
    provider: str = "openai",
    secret: str | None = "sk-provider-0123456789abcdef",
    input: str | None = "2.5",
    output: str | None = "10",
    prices: dict[str, Decimal] | None = None,
    **terms: Any,
) -> Deployment:
    """Prices are dollars per million tokens; `prices` adds others by their wire names."""
    named = {
        f"{side}_cost_per_token": Decimal(price) / MILLION
        for side, price in (("input", input), ("output", output))
        if price is not None
    }
    name = name or unique("model")
    return create_deployment(
        {"model_name": name, "upstream_model": upstream_model or name, **terms},
        UpstreamTerms(provider=provider, address=address, secret=secret),
        named | (prices or {}),
        actor=ACTOR,
    )
