"""Demo traffic: who called what in the last weeks, made up; the same for the same seed and clock.

Budgets held then as they hold now: a call that found no room was refused.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from proxy.deployment_cards import DeploymentCard
from proxy.models import APIKey
from spend.billing import Bill, Record
from spend.errors import BudgetExceeded
from spend.ids import CallIds
from spend.ledger import Intent
from spend.models import Budget, BudgetWindow
from spend.money import Nanos
from spend.past_calls import PastCall
from spend.pricing import Tariff, cost
from spend.usage import Usage

SEED = 20_251_011
WEEKEND_SHARE = 0.3
BUSY_HOURS = (0.2, 0.1, 0.1, 0.1, 0.1, 0.2, 0.4, 0.9, 1.6, 2.0, 2.2, 2.0,
              1.5, 1.9, 2.2, 2.1, 1.8, 1.4, 0.9, 0.7, 0.5, 0.4, 0.3, 0.2)  # fmt: skip
CLIENTS = ("OpenAI/Python 2.7.1", "OpenAI/JS 6.2.0", "curl/8.5.0", "python-httpx/0.28.1")
FAILURES = (
    (502, "upstream_error", "The upstream could not be reached."),
    (429, "rate_limit_error", "The upstream is busy. Please try again."),
    (504, "upstream_timeout", "The upstream did not answer in time."),
)
FAILED_SHARE = 0.012
LEFT_SHARE = 0.006  # the client hung up during the answer
STREAM_SHARE = 0.55
BOUND_FACTOR = 3  # what a strict budget must have room for, as against what a call costs


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Calls of one kind: whose they are, how many a day, how large."""

    key: str
    tags: tuple[str, ...]
    calls_a_day: float
    smart_share: float
    prompt_tokens: int
    answer_tokens: int
    users: int = 0
    stops_at: float = 1.0  # the share of the tightest limit at which it goes quiet


@dataclass(slots=True)
class Account:
    """A budget as the simulation goes through time."""

    payer: str
    budget: Budget
    windows: Sequence[BudgetWindow]  # the oldest first
    spent: dict[int, int] = field(default_factory=dict)
    place: int = 0

    def window_at(self, at: datetime) -> BudgetWindow:
        """Calls come in the order of time, so the place only goes forward."""
        window = self.windows[self.place]
        while window.ends_at is not None and window.ends_at <= at:
            self.place += 1
            window = self.windows[self.place]
        return window

    def refusal(self, window: BudgetWindow, amount: int) -> BudgetExceeded | None:
        spent = self.spent.get(window.pk, 0)
        if window.limit is None:
            return None
        strict = window.mode == "strict"
        bound = BOUND_FACTOR * amount if strict else amount
        if spent + bound <= window.limit if strict else spent < window.limit:
            return None
        return BudgetExceeded(
            payer=self.payer,
            budget=self.budget.public_id,
            budget_kind="own",
            mode=window.mode,
            duration=self.budget.duration,
            starts_at=window.starts_at,
            resets_at=window.ends_at,
            spent=Nanos(spent),
            reserved=Nanos(0),
            requested=Nanos(bound),
            limit=Nanos(window.limit),
        )

    def is_quiet_at(self, window: BudgetWindow, amount: int, share: float) -> bool:
        if window.limit is None or share >= 1:
            return False
        return self.spent.get(window.pk, 0) + amount > window.limit * share


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """All who take part: keys and accounts by name, and the models on offer."""

    keys: dict[str, APIKey]
    accounts: dict[str, list[Account]]  # by payer
    cards: dict[str, DeploymentCard]
    tag_sets: dict[tuple[str, ...], int]


def make_up_calls(
    streams: Sequence[Stream], cast: Cast, *, since: datetime, until: datetime
) -> list[PastCall]:
    """All calls of all streams, in the order of time."""
    random = Random(SEED)
    moments = sorted(
        ((at, number) for number, stream in enumerate(streams)
         for at in _moments(stream, random, since, until)),
    )  # fmt: skip
    clock = [0]
    ids = CallIds(lambda: clock[0])
    calls = []
    for at, number in moments:
        clock[0] = int(at.timestamp() * 1_000)
        call = _make_up_call(streams[number], cast, random, at, ids.next())
        if call is not None:
            calls.append(call)
    return calls


def _moments(
    stream: Stream, random: Random, since: datetime, until: datetime
) -> Iterator[datetime]:
    """Calls come by chance, more of them in the busy hours of working days."""
    hour = since.replace(minute=0, second=0, microsecond=0)
    while hour < until:
        share = WEEKEND_SHARE if hour.weekday() >= 5 else 1.0
        expected = stream.calls_a_day / 24 * BUSY_HOURS[hour.hour] * share
        for _ in range(_poisson(random, expected)):
            at = hour + timedelta(milliseconds=random.randrange(3_600_000))
            if since <= at < until:
                yield at
        hour += timedelta(hours=1)


def _make_up_call(
    stream: Stream, cast: Cast, random: Random, at: datetime, call_id: UUID
) -> PastCall | None:
    """None where its stream has gone quiet. Draws the same chances whatever comes of it."""
    is_smart = random.random() < stream.smart_share
    card = cast.cards["demo-smart" if is_smart else "demo-fast"]
    usage = _usage(stream, random, is_smart=is_smart)
    fate, streamed = random.random(), random.random() < STREAM_SHARE
    intent = _intent(stream, cast, card, random, streamed=streamed)
    seconds = 0.25 + usage.output_total * (0.02 if is_smart else 0.006) * random.uniform(0.7, 1.5)
    assert card.tariff is not None
    amount = cost(usage, card.tariff)
    accounts = _accounts(stream, cast)
    windows = [(account, account.window_at(at)) for account in accounts]
    if any(account.is_quiet_at(window, amount, stream.stops_at) for account, window in windows):
        return None
    for account, window in windows:
        if refusal := account.refusal(window, amount):
            return _refused(call_id, at, intent, refusal)
    if fate < FAILED_SHARE:
        return _failed(call_id, at, intent, windows, random, seconds)
    for account, window in windows:
        account.spent[window.pk] = account.spent.get(window.pk, 0) + amount
    record = Record(
        http_status=499 if fate > 1 - LEFT_SHARE else 200,
        ended_at=at + timedelta(seconds=seconds),
        first_byte_at=at + timedelta(seconds=seconds * (0.15 if streamed else 0.98)),
        client_disconnected=fate > 1 - LEFT_SHARE,
        upstream_model=card.upstream_model,
        upstream_request_id=f"chatcmpl-{random.getrandbits(96):024x}",
        attempts=({"model_id": str(card.id), "status": 200, "ms": int(seconds * 1_000)},),
    )
    return PastCall(
        id=call_id,
        at=at,
        intent=intent,
        windows=tuple(window.pk for _, window in windows),
        bill=Bill(amount, "success", usage, "upstream", _price_id(card.tariff)),
        record=record,
    )


def _refused(call_id: UUID, at: datetime, intent: Intent, refusal: BudgetExceeded) -> PastCall:
    error = {
        "type": "budget_exceeded",
        "message": str(refusal),
        "payer": refusal.payer,
        "budget": refusal.budget,
        "spent": refusal.spent,
        "reserved": refusal.reserved,
        "limit": refusal.limit,
        "requested": refusal.requested,
        "resets_at": refusal.resets_at and refusal.resets_at.isoformat(),
    }
    ended_at = at + timedelta(milliseconds=3)
    return PastCall(
        id=call_id,
        at=at,
        intent=intent,
        windows=(),
        bill=Bill(Nanos(0), "refused", Usage(), "none", None),
        record=Record(http_status=400, ended_at=ended_at, error=error),
    )


def _failed(
    call_id: UUID,
    at: datetime,
    intent: Intent,
    windows: Sequence[tuple[Account, BudgetWindow]],
    random: Random,
    seconds: float,
) -> PastCall:
    status, kind, message = random.choice(FAILURES)
    record = Record(
        http_status=status,
        ended_at=at + timedelta(seconds=seconds),
        error={"type": kind, "message": message},
    )
    return PastCall(
        id=call_id,
        at=at,
        intent=intent,
        windows=tuple(window.pk for _, window in windows),
        bill=Bill(Nanos(0), "failure", Usage(), "none", None),
        record=record,
    )


def _intent(
    stream: Stream, cast: Cast, card: DeploymentCard, random: Random, *, streamed: bool
) -> Intent:
    key = cast.keys[stream.key]
    assert card.tariff is not None
    return Intent(
        endpoint="chat/completions",
        stream=streamed,
        key_id=key.id,
        key_alias=key.alias,
        key_digest=key.digest,
        tag_set=cast.tag_sets[stream.tags],
        model=card.model_name,
        upstream_model=card.upstream_model,
        deployment_id=card.id,
        provider=card.provider,
        price_id=_price_id(card.tariff),
        end_user=f"user-{random.randrange(stream.users)}" if stream.users else None,
        user_agent=CLIENTS[len(stream.tags) % len(CLIENTS)],
        address=f"10.0.{len(stream.key)}.{random.randrange(2, 30)}",
    )


def _usage(stream: Stream, random: Random, *, is_smart: bool) -> Usage:
    prompt = max(12, int(random.lognormvariate(math.log(stream.prompt_tokens), 0.6)))
    answer = max(4, int(random.lognormvariate(math.log(stream.answer_tokens), 0.5)))
    cached = prompt // 128 * 128 if prompt > 1_024 and random.random() < 0.3 else 0
    reasoning = answer // 3 if is_smart else 0
    return Usage(
        input=prompt - cached, cached_input=cached, output=answer - reasoning, reasoning=reasoning
    )


def _accounts(stream: Stream, cast: Cast) -> list[Account]:
    payers = [*(f"tag:{tag}" for tag in stream.tags), f"key:{stream.key}"]
    return [account for payer in payers for account in cast.accounts.get(payer, ())]


def _price_id(tariff: Tariff) -> UUID | None:
    return UUID(tariff.price_id) if tariff.price_id else None


def _poisson(random: Random, expected: float) -> int:
    """How many of something rare happened; Knuth's way, for small numbers."""
    limit, product, count = math.exp(-expected), random.random(), 0
    while product > limit:
        product *= random.random()
        count += 1
    return count
