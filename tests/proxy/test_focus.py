"""GET /spend/focus: the ledger as a FOCUS bill."""

import csv
import io
import json
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from spend.focus_rows import COLUMNS, SINCE_1_3
from spend.models import Price, Rollup, SpendLog
from spend.pricing import Tariff, cost
from spend.rollover import database_now
from spend.usage import Usage
from tests.past import correct_past_call, key_id_of, make_past_call

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
MANDATORY = [
    *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency"),
    *("BillingPeriodStart", "BillingPeriodEnd", "ChargeCategory", "ChargeClass"),
    *("ChargeDescription", "ChargePeriodStart", "ChargePeriodEnd", "ContractedCost"),
    *("EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit"),
    *("ProviderName", "PublisherName", "ServiceCategory", "ServiceName"),
]


def refusal(response):
    error = response.json()["error"]
    return response.status_code, error["type"], error["param"]


def read(response):
    assert response.status_code == 200, response.content
    text = b"".join(response.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.fixture
def bill(management):
    def bill(**asked):
        today = database_now().date()
        return read(
            management.get(
                "/spend/focus", {"start_date": today - 90 * DAY, "end_date": today} | asked
            )
        )

    return bill


@pytest.fixture
def price():
    return Price.objects.create(
        source="operator",
        provider="openai",
        model="gpt-4o",
        rates={"input": 2_500_000, "cached_input": 1_250_000, "output": 10_000_000},
    )


def test_it_works(bill, price):
    deployment = uuid4()
    make_past_call(
        tags=("engineering", "eu"),
        cost=2_025_000,
        key_alias="svc-a",
        model="gpt-4",
        price_id=price.id,
        usage=Usage(input=400, cached_input=20, output=100),
        intent={"deployment_id": deployment, "provider": "openai"},
    )
    at = SpendLog.objects.get().at.astimezone(UTC)
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)

    first, second, third = bill()

    assert first == {
        "BilledCost": "0.001",
        "BillingAccountId": "tollgate",
        "BillingAccountName": "Tollgate",
        "BillingCurrency": "USD",
        "BillingPeriodStart": f"{at:%Y-%m}-01T00:00:00Z",
        "BillingPeriodEnd": f"{day.replace(day=1) + 31 * DAY:%Y-%m}-01T00:00:00Z",
        "ChargeCategory": "Usage",
        "ChargeClass": "",
        "ChargeDescription": "gpt-4o: input",
        "ChargePeriodStart": f"{day:%Y-%m-%d}T00:00:00Z",
        "ChargePeriodEnd": f"{day + DAY:%Y-%m-%d}T00:00:00Z",
        "ContractedCost": "0.001",
        "EffectiveCost": "0.001",
        "InvoiceIssuerName": "OpenAI",
        "ListCost": "0.001",
        "PricingQuantity": "400",
        "PricingUnit": "Tokens",
        "ProviderName": "OpenAI",
        "PublisherName": "OpenAI",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": "OpenAI API",
        "Tags": '{"engineering": true, "eu": true}',
        "SubAccountId": str(key_id_of("svc-a")),
        "SubAccountName": "svc-a",
        "ResourceId": str(deployment),
        "ConsumedQuantity": "400",
        "ConsumedUnit": "Tokens",
        "SkuId": "openai/gpt-4o/input/Tokens",
        "SkuPriceId": f"{price.id}/input/Tokens",
        "x_RequestCount": "1",
        "x_Model": "gpt-4",
    }
    told = [(r["ChargeDescription"], r["BilledCost"], r["x_RequestCount"]) for r in (second, third)]
    assert told == [("gpt-4o: cached input", "0.000025", "0"), ("gpt-4o: output", "0.001", "0")]


def test_its_columns_are_those_of_the_version(bill):
    make_past_call(cost=1)

    assert list(bill()[0]) == list(COLUMNS)
    assert list(bill(version="1.3")[0]) == [*COLUMNS, *SINCE_1_3]
    assert list(COLUMNS[:21]) == MANDATORY
    assert bill(version="1.3")[0]["ServiceProviderName"] == "Tollgate"


def test_a_call_with_two_tags_is_billed_once_with_both(bill, price):
    for _ in range(3):
        make_past_call(tags=("a", "b"), cost=2_000_000, price_id=price.id, ago=DAY)
    make_past_call(tags=("a",), cost=2_000_000, price_id=price.id, ago=DAY)
    make_past_call(tags=(), cost=2_000_000, price_id=price.id, ago=DAY)

    rows = bill()

    spent = {}
    for row in rows:
        tags = tuple(json.loads(row["Tags"]))
        spent[tags] = spent.get(tags, 0) + Decimal(row["BilledCost"])
    assert spent == {
        ("a", "b"): Decimal("0.006"),
        ("a",): Decimal("0.002"),
        (): Decimal("0.002"),
    }
    assert len(rows) == 6
    assert sum(int(row["x_RequestCount"]) for row in rows) == 5


def test_what_is_late_is_billed_with_its_call_by_its_usage(bill, price):
    call_id = make_past_call(
        cost=5_000_000,
        status="estimated",
        usage=Usage(),
        usage_source="estimate",
        price_id=price.id,
        record={"flags": ("expired",)},
    )
    before = bill()
    correct_past_call(call_id, 2_000_000)

    assert [(r["BilledCost"], r["PricingUnit"], r["PricingQuantity"]) for r in before] == [
        ("0.005", "Requests", "1")
    ]
    assert [(r["BilledCost"], r["PricingUnit"], r["PricingQuantity"]) for r in bill()] == [
        ("0.001", "Tokens", "400"),
        ("0.001", "Tokens", "100"),
    ]


def test_it_leaves_out_what_nobody_bills(bill):
    make_past_call(status="failure")
    make_past_call(status="refused")

    assert bill() == []


def test_seconds_are_told_to_the_thousandth(bill):
    price = Price.objects.create(source="operator", model="w", rates={"input_seconds": 100_000_000})
    make_past_call(cost=150_200, price_id=price.id, usage=Usage(input_ms=1_502))

    (row,) = bill()

    assert (row["PricingQuantity"], row["PricingUnit"]) == ("1.502", "Seconds")
    assert row["BilledCost"] == "0.0001502"


def test_its_texts_are_inert(bill):
    make_past_call(tags=("=a",), cost=1, usage=Usage(), key_alias="=cmd()", model="+m")

    (row,) = bill()

    assert (row["SubAccountName"], row["x_Model"]) == ("'=cmd()", "'+m")
    assert row["ChargeDescription"] == "'+m: request"
    assert json.loads(row["Tags"]) == {"=a": True}


@pytest.mark.parametrize("chunk_rows", [3, 1_000])
def test_it_adds_up_to_the_ledger_to_the_nano_dollar(bill, monkeypatch, chunk_rows):
    """Of many calls whose costs were all rounded up, some by tiers, some corrected, some free."""
    monkeypatch.setattr("spend.log_stream.CHUNK_ROWS", chunk_rows)
    chance = random.Random(7)
    rates = {
        "input": 2_500_007,
        "cached_input": 1_250_003,
        "output": 10_000_009,
        "above": {"1000": {"input": 5_000_011}},
        "priority": {"output": 17_000_003},
        "requests": 3,
    }
    prices = [Price.objects.create(source="operator", model=f"m{n}", rates=rates) for n in (1, 2)]
    tariff = Tariff.from_rates(rates, price_id=None, source="operator")
    for n in range(60):
        usage = Usage(
            input=chance.randrange(2_000),
            cached_input=chance.randrange(2_000),
            output=chance.randrange(500),
            reasoning=chance.randrange(50),
        )
        tier = chance.choice([None, "priority"])
        billed = cost(usage, tariff, service_tier=tier) + chance.choice([0, 0, 0, 777])
        is_lost = n % 10 == 0
        call_id = make_past_call(
            tags=chance.choice([(), ("a",), ("a", "b"), ("b", "c")]),
            key_alias=chance.choice(["x", "y"]),
            cost=billed,
            usage=Usage() if is_lost else usage,
            status="estimated" if is_lost else chance.choice(["success", "estimated"]),
            price_id=chance.choice(prices).id,
            ago=chance.randrange(5) * DAY,
            record={"flags": ("expired",)} if is_lost else None,
        )
        if n % 20 == 0:
            correct_past_call(call_id, cost(usage, tariff), usage)
    make_past_call(cost=1)
    make_past_call(cost=0, usage=Usage(input=5))

    rows = bill()

    ledger = sum(SpendLog.objects.values_list("cost", flat=True))
    rolled = sum(Rollup.objects.filter(span="day").values_list("cost", flat=True))
    billed = sum(Decimal(row["BilledCost"]) for row in rows)
    assert ledger == rolled
    assert billed == Decimal(ledger).scaleb(-9)
    assert all(Decimal(row["BilledCost"]).as_tuple().exponent >= -9 for row in rows)
    calls = SpendLog.objects.filter(corrects=None).count()
    assert sum(int(row["x_RequestCount"]) for row in rows) == calls
    keys = [
        tuple(
            row[name]
            for name in (
                *("ChargePeriodStart", "Tags", "SubAccountId", "ResourceId", "SkuId"),
                *("SkuPriceId", "x_Model"),
            )
        )
        for row in rows
    ]
    assert len(set(keys)) == len(keys)
    by_day = {}
    for row in rows:
        day = row["ChargePeriodStart"][:10]
        by_day[day] = by_day.get(day, 0) + Decimal(row["BilledCost"])
    days = Rollup.objects.filter(span="day").values_list("starts_at", "cost")
    expected = {}
    for at, nanos in days:
        day = at.astimezone(UTC).date().isoformat()
        expected[day] = expected.get(day, 0) + Decimal(nanos).scaleb(-9)
    assert by_day == expected


def test_its_days_and_months_are_those_of_the_reports_zone(management, settings):
    settings.REPORT_TIME_ZONE = "Pacific/Kiritimati"  # 14 hours ahead
    make_past_call(cost=1, usage=Usage())
    there = SpendLog.objects.get().at.astimezone(UTC) + timedelta(hours=14)

    (row,) = read(management.get("/spend/focus", {"month": f"{there:%Y-%m}"}))

    starts = datetime.combine(there.date(), datetime.min.time()) - timedelta(hours=14)
    month = datetime.combine(there.date().replace(day=1), datetime.min.time())
    assert row["ChargePeriodStart"] == f"{starts:%Y-%m-%dT%H:%M:%S}Z"
    assert row["BillingPeriodStart"] == f"{month - timedelta(hours=14):%Y-%m-%dT%H:%M:%S}Z"


def test_it_has_a_month_by_its_name_and_the_one_that_is_on(management):
    now = database_now()
    make_past_call(cost=1, usage=Usage(), ago=now - datetime(2026, 2, 14, 12, tzinfo=UTC))
    make_past_call(cost=2, usage=Usage())

    named = management.get("/spend/focus?month=2026-02")
    current = management.get("/spend/focus")

    assert named["content-disposition"].endswith('"focus-1.2-2026-02-01-2026-02-28.csv"')
    assert [row["BilledCost"] for row in read(named)] == ["0.000000001"]
    assert [row["BilledCost"] for row in read(current)] == ["0.000000002"]


def test_without_charges_there_is_a_header(management):
    response = management.get("/spend/focus?month=2020-01")

    assert b"".join(response.streaming_content).decode() == ",".join(COLUMNS) + "\r\n"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("version=1.0", (400, "invalid_parameter", "version")),
        ("month=2026-13", (400, "invalid_parameter", "month")),
        ("month=October", (400, "invalid_parameter", "month")),
        ("month=2026-10&start_date=2026-10-01", (400, "invalid_parameter", "month")),
        ("start_date=2026-10-01", (400, "invalid_parameter", "end_date")),
        ("start_date=2026-10-02&end_date=2026-10-01", (400, "invalid_parameter", "end_date")),
        (
            "start_date=2026-10-01T00:00:00Z&end_date=2026-10-02",
            (400, "invalid_parameter", "start_date"),
        ),
        ("nonsense=1", (400, "unknown_field", "nonsense")),
    ],
)
def test_it_refuses_bad_questions(management, query, expected):
    assert refusal(management.get(f"/spend/focus?{query}")) == expected


def test_december_ends_with_the_year(management):
    noon = datetime(2025, 12, 31, 12, tzinfo=UTC)
    make_past_call(cost=1, usage=Usage(), ago=database_now() - noon)

    (row,) = read(management.get("/spend/focus?month=2025-12"))

    assert row["BillingPeriodEnd"] == "2026-01-01T00:00:00Z"
    assert row["ChargePeriodStart"] == "2025-12-31T00:00:00Z"
