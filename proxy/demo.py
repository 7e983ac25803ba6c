"""Demo: seed_demo makes two models, some tags and keys, and four weeks of history to look at.

Only on an empty database, and in one transaction. Later runs do no more than tell the demo's
upstream where it is now.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from proxy.credentials import digest_of, new_secret
from proxy.demo_traffic import Account, Cast, Stream, make_up_calls
from proxy.deployment_cards import load_catalogue
from proxy.deployments import create_deployment
from proxy.models import APIKey, Deployment, Upstream
from proxy.upstream_terms import UpstreamTerms
from spend.budgets import create_budget
from spend.models import Budget, BudgetMode, Price, PriceSource, SpendLog
from spend.money import parse_dollars_text
from spend.past_calls import backdate_budget, intern_tags, write_past_calls
from spend.rollover import database_now
from tags.actions import create_tag
from tags.changes import Changes
from tags.models import Tag

ACTOR = "demo"
UPSTREAM_NAME = "Demo"
DAYS = 28
QUIET_MINUTES = 4  # the last call was that long ago

# What the demo's upstream answers with a text.
ENDPOINTS = (
    "chat/completions", "completions", "responses", "messages", "messages/count_tokens",
)  # fmt: skip

STRICT = BudgetMode.STRICT

# Name, description, own budget, further budgets. None is "engineering": whoever follows the
# documentation makes that one first.
TAGS: tuple[tuple[str, str, dict[str, Any], list[dict[str, Any]]], ...] = (
    (
        "platform",
        "The platform team's cost center",
        {"limit": "25", "soft_limit": "20", "duration": "30d"},
        [],
    ),
    (
        "marketing",
        "Campaign texts; spent for this period",
        {"limit": "2.5", "duration": "30d"},
        [],
    ),
    (
        "research",
        "Long prompts, never beyond the limit",
        {"limit": "2.75", "duration": "weekly", "mode": STRICT},
        [],
    ),
    (
        "support",
        "Help desk: a monthly budget and a daily one",
        {"limit": "5", "duration": "monthly"},
        [{"limit": "0.6", "duration": "daily"}],
    ),
    (
        "project-atlas",
        "Nearly used up",
        {"limit": "5", "duration": "30d"},
        [],
    ),
    ("customer-acme", "Tracked, without a limit", {"limit": None}, []),
    ("demo", "Whatever is tried with the demo key", {"limit": "10", "duration": "30d"}, []),
)

# Dollars per token, under the wire's names.
FAST_PRICES = {
    "input_cost_per_token": Decimal("0.00000015"),
    "cache_read_input_token_cost": Decimal("0.000000075"),
    "output_cost_per_token": Decimal("0.0000006"),
}

# Alias, default tags, limit of its own budget. The first one's secret is told.
KEYS = (
    ("demo", ["demo"], "20"),
    ("svc-backend", ["platform"], None),
    ("svc-helpdesk", ["support"], "30"),
    ("lab-notebooks", ["research"], None),
)

STREAMS = (
    Stream(key="svc-backend", tags=("platform", "project-atlas"), calls_a_day=75,
           smart_share=0.5, prompt_tokens=1_400, answer_tokens=320, stops_at=0.97),
    Stream(key="svc-backend", tags=("platform", "project-beacon"), calls_a_day=38,
           smart_share=0.35, prompt_tokens=900, answer_tokens=260),
    Stream(key="svc-backend", tags=("marketing", "eu"), calls_a_day=30,
           smart_share=0.6, prompt_tokens=700, answer_tokens=450),
    Stream(key="svc-helpdesk", tags=("support", "customer-acme"), calls_a_day=55,
           smart_share=0.12, prompt_tokens=1_100, answer_tokens=180, users=40),
    Stream(key="svc-helpdesk", tags=("support",), calls_a_day=22,
           smart_share=0.3, prompt_tokens=1_600, answer_tokens=240, users=40),
    Stream(key="lab-notebooks", tags=("research",), calls_a_day=14,
           smart_share=1.0, prompt_tokens=9_000, answer_tokens=900, users=5),
    Stream(key="svc-backend", tags=(), calls_a_day=10,
           smart_share=0.0, prompt_tokens=2_000, answer_tokens=120),
    Stream(key="demo", tags=("demo",), calls_a_day=5,
           smart_share=0.4, prompt_tokens=60, answer_tokens=120),
)  # fmt: skip


@transaction.atomic
def seed_demo(upstream_address: str) -> str | None:
    """The demo key's secret; None if nothing was made.

    A database with any model, tag, key or call in it is not empty: it gets no demo, but a demo's
    upstream that is there already is told its address.
    """
    with connection.cursor() as cursor:  # two starts at once make one demo
        cursor.execute("select pg_advisory_xact_lock(7005)")
    address = f"{upstream_address.rstrip('/').removesuffix('/v1')}/v1"
    moved = Upstream.objects.filter(name=UPSTREAM_NAME).exclude(address=address)
    moved.update(address=address)
    if not is_empty():
        return None
    now = database_now()
    since = (now - timedelta(days=DAYS)).replace(hour=0, minute=0, second=0, microsecond=0)
    make_models(address, since)
    tag_accounts = [account for tag in TAGS for account in make_tag(*tag, since=since)]
    secrets = [make_key(*key, since=since) for key in KEYS]
    accounts = [*tag_accounts, *(account for _, account in secrets)]
    write_history(accounts, since, now - timedelta(minutes=QUIET_MINUTES))
    return secrets[0][0]


def is_empty() -> bool:
    return not any(rows.objects.exists() for rows in (Deployment, Tag, APIKey, SpendLog))


def make_models(address: str, since: datetime) -> None:
    """One is priced by a price of its own, the other by the operator's row."""
    upstream = UpstreamTerms(provider="openai", address=address)
    limits = {"input_tokens_max": 128_000, "output_tokens_max": 16_384}
    spoken = {"supported_endpoints": list(ENDPOINTS)}
    for name, prices in (
        ("demo-fast", FAST_PRICES),
        ("demo-smart", {}),
    ):
        terms = {"model_name": name, "upstream_model": name, "terms": spoken, **limits}
        deployment = create_deployment(terms, upstream, prices, actor=ACTOR)
        Price.objects.filter(deployment_id=deployment.id).update(starts_at=since)
    Upstream.objects.update(name=UPSTREAM_NAME)
    Price.objects.create(
        source=PriceSource.OPERATOR,
        provider="openai",
        model="demo-smart",
        starts_at=since,
        rates={"input": 2_500_000, "cached_input": 1_250_000, "output": 10_000_000},
        note="Agreed for the demo",
        created_by=ACTOR,
    )


def make_tag(
    name: str,
    description: str,
    own: dict[str, Any],
    further: list[dict[str, Any]],
    *,
    since: datetime,
) -> list[Account]:
    changes = Changes(
        columns={"description": description},
        budget=as_terms(own),
        further=[as_terms(terms) for terms in further],
    )
    tag = create_tag(name, changes, actor=ACTOR)
    Tag.objects.filter(pk=tag.pk).update(created_at=since)
    budgets = [tag.budget, *(draw.budget for draw in tag.draws.all())]
    return [make_account(f"tag:{name}", budget, since) for budget in budgets]


def make_key(
    alias: str, tags: list[str], limit: str | None, *, since: datetime
) -> tuple[str, Account]:
    secret = new_secret()
    budget = create_budget(**as_terms({"limit": limit, "duration": "30d" if limit else None}))
    APIKey.objects.create(
        alias=alias,
        digest=digest_of(secret),
        ending=secret[-4:],
        metadata={"tags": tags},
        budget=budget,
        created_at=since,
        created_by=ACTOR,
    )
    return secret, make_account(f"key:{alias}", budget, since)


def as_terms(terms: dict[str, Any]) -> dict[str, Any]:
    amounts = {name: terms.get(name) for name in ("limit", "soft_limit")}
    nanos = {
        name: None if amount is None else parse_dollars_text(amount)
        for name, amount in amounts.items()
    }
    return {**terms, **nanos}


def make_account(payer: str, budget: Budget, since: datetime) -> Account:
    return Account(payer, budget, backdate_budget(budget, since))


def write_history(accounts: list[Account], since: datetime, until: datetime) -> None:
    by_payer: dict[str, list[Account]] = {}
    for account in accounts:
        by_payer.setdefault(account.payer, []).append(account)
    cast = Cast(
        keys={key.alias: key for key in APIKey.objects.all() if key.alias},
        accounts=by_payer,
        cards={card.model_name: card for card in load_catalogue(database_now())},
        tag_sets={stream.tags: intern_tags(stream.tags) for stream in STREAMS},
    )
    write_past_calls(make_up_calls(STREAMS, cast, since=since, until=until))
