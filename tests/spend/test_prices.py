"""Prices: published lists become rows that are never changed, and nobody's own price is touched."""

import json
from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from genai_prices import Usage as LibraryUsage
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import TimeOfDateConstraint

from spend import prices
from spend.models import Price, PriceSource
from spend.price_book import load_price_book
from spend.price_lists import BadPriceList, ListedPrice, PriceList, genai_prices_list
from spend.prices import load_catalogue, load_file
from spend.pricing import Tariff, cost
from spend.rollover import database_now
from spend.usage import Usage

pytestmark = pytest.mark.django_db

OPENAI = {"providers": ["openai"], "deployment_id": None}


@pytest.fixture
def publish(monkeypatch):
    """Let the library publish these rates, all of them for one provider."""

    def publish(rates_by_model, starts_at=None):
        listed = tuple(
            ListedPrice("openai", model, starts_at, rates)
            for model, rates in rates_by_model.items()
        )
        published = PriceList("genai-prices", "genai-prices 9.9", listed)
        monkeypatch.setattr(prices, "genai_prices_list", lambda now: published)

    return publish


def book(*models, at=None):
    return load_price_book(at or database_now(), deployments=[], models=models)


# -- loading -------------------------------------------------------------------------------------


def test_it_works():
    report = load_catalogue()

    tariff = book("gpt-4o").tariff(model="gpt-4o", **OPENAI)
    assert report["source"].startswith("genai-prices ")
    assert report["added"] == Price.objects.count() > 2_000
    assert (report["changed"], report["unchanged"], report["changes"]) == (0, 0, [])
    assert cost(Usage(input=400, output=100), tariff) == 2_000_000  # $0.002: 400 x 2.5, 100 x 10


def test_it_changes_nothing_when_loaded_again():
    first = load_catalogue()

    second = load_catalogue()

    assert (second["added"], second["changed"], second["changes"]) == (0, 0, [])
    assert second["unchanged"] == first["added"] == Price.objects.count()


def test_it_only_tells_what_would_change_on_a_dry_run():
    assert load_catalogue(dry_run=True)["added"] > 2_000
    assert not Price.objects.exists()


def test_it_succeeds_a_changed_price_and_keeps_the_old_row(publish):
    publish({"gpt-x": {"input": 2_500_000}})
    load_catalogue()
    old = Price.objects.get()

    publish({"gpt-x": {"input": 2_000_000}})
    report = load_catalogue()

    new = Price.objects.exclude(pk=old.pk).get()
    assert (report["added"], report["changed"], report["unchanged"]) == (0, 1, 0)
    assert report["changes"][0] == {
        "provider": "openai",
        "model": "gpt-x",
        "starts_at": new.starts_at.isoformat().replace("+00:00", "Z"),
        "before": {"input_cost_per_token": "0.000002500000"},
        "after": {"input_cost_per_token": "0.000002000000"},
    }
    assert Price.objects.get(pk=old.pk).rates == {"input": 2_500_000}
    assert book("gpt-x").find(model="gpt-x", **OPENAI) == new
    assert book("gpt-x", at=old.starts_at).find(model="gpt-x", **OPENAI) == old


def test_it_lets_an_announced_price_begin_on_its_day(publish):
    publish({"gpt-x": {"input": 2}})
    load_catalogue()
    day = database_now() + timedelta(days=3)

    publish({"gpt-x": {"input": 1}}, starts_at=day)
    load_catalogue()

    assert book("gpt-x").find(model="gpt-x", **OPENAI).rates == {"input": 2}
    assert book("gpt-x", at=day).find(model="gpt-x", **OPENAI).rates == {"input": 1}


def test_it_takes_back_an_announced_price(publish):
    publish({"gpt-x": {"input": 1}}, starts_at=database_now() + timedelta(days=3))
    load_catalogue()

    publish({"gpt-x": {"input": 2}})
    load_catalogue()

    assert Price.objects.get().rates == {"input": 2}


def test_it_never_touches_an_operators_row(publish):
    operators = Price.objects.create(
        source=PriceSource.OPERATOR, provider="openai", model="gpt-x", rates={"input": 7}
    )
    publish({"gpt-x": {"input": 1}})

    load_catalogue()

    operators.refresh_from_db()
    assert operators.rates == {"input": 7}
    assert book("gpt-x").find(model="gpt-x", **OPENAI) == operators


# -- what the library says -----------------------------------------------------------------------


def test_it_prices_other_names_and_dated_names_like_the_library():
    load_catalogue()

    def rates(model, provider="openai"):
        found = book(model).find(model=model, providers=[provider], deployment_id=None)
        return found and found.rates

    assert rates("gpt-4o-2024-08-06") == rates("gpt-4o")
    assert rates("GPT-4o") == rates("gpt-4o")
    assert rates("gpt-4o-2024-05-13")["input"] == 5_000_000
    assert rates("claude-haiku-4-5-20251001", "anthropic") == rates("claude-haiku-4-5", "anthropic")
    assert rates("no-such-model") is None
    assert rates("gpt-4o", "ollama") is None


def test_it_agrees_with_the_library_on_every_name_that_the_library_finds():
    now = database_now()
    snapshot = get_snapshot()
    compared = 0

    for price in genai_prices_list(now).prices:
        provider = next((found for found in snapshot.providers if found.id == price.provider), None)
        model = provider and provider.find_model(price.model)
        if model is None or price.starts_at is not None or has_no_plain_price(model):
            continue
        tariff = Tariff.from_rates(price.rates, price_id=None, source="")
        ours = sum(
            count * (tariff.rate(kind) or 0)
            for kind, count in (("input", 1_000), ("output", 1_000), ("requests", 1))
        )
        library = model.calc_price(TOKENS, provider, genai_request_timestamp=now).total_price
        rounded_up = ours - library * 10**12  # each of 2,000 tokens by less than a pico-dollar
        assert 0 <= rounded_up < 2_000, (price.provider, price.model)
        compared += 1

    assert compared > 1_500


TOKENS = LibraryUsage(input_tokens=1_000, output_tokens=1_000)


def has_no_plain_price(model):
    """Priced by the time of day, or not by tokens."""
    if isinstance(model.prices, list):
        return any(isinstance(price.constraint, TimeOfDateConstraint) for price in model.prices)
    return not {"input_mtok", "output_mtok"} & vars(model.prices).keys()


def test_it_reads_long_context_and_service_tiers():
    load_catalogue()

    sonnet = book("claude-sonnet-4-5").tariff(
        model="claude-sonnet-4-5", providers=["anthropic"], deployment_id=None
    )
    gpt = book("gpt-4o").tariff(model="gpt-4o", **OPENAI)

    assert sonnet.rate("input", input_total=200_000) == 3_000_000
    assert sonnet.rate("input", input_total=200_001) == 6_000_000
    assert gpt.rate("output", service_tier="priority") == 17_000_000


# -- which price counts --------------------------------------------------------------------------


def test_it_prefers_a_deployments_own_price_then_the_operators_then_the_list():
    deployment_id = uuid4()
    listed = make_price(model="gpt-x", source="catalogue")
    assert find("gpt-x", deployment_id) == listed

    operators = make_price(model="gpt-x", source="operator")
    assert find("gpt-x", deployment_id) == operators

    own = make_price(model="gpt-x", source="deployment", deployment_id=deployment_id)
    assert find("gpt-x", deployment_id) == own
    assert find("gpt-x", uuid4()) == operators


def test_it_prefers_the_provider_then_whose_prices_it_asks_then_any():
    anybody = make_price(model="gpt-x", source="operator", provider="")
    assert find("gpt-x", providers=["azure", "openai"]) == anybody

    asked = make_price(model="gpt-x", source="operator", provider="openai")
    assert find("gpt-x", providers=["azure", "openai"]) == asked

    served = make_price(model="gpt-x", source="operator", provider="azure")
    assert find("gpt-x", providers=["azure", "openai"]) == served


def test_it_prefers_a_name_to_a_pattern_and_of_patterns_the_longest():
    short = make_price(model="gpt*", source="catalogue")
    long = make_price(model="gpt-4*", source="catalogue")
    named = make_price(model="gpt-4o", source="catalogue")

    assert find("gpt-3") == short
    assert find("gpt-4-turbo") == long
    assert find("gpt-4o") == named


def test_it_goes_on_to_the_next_source_when_a_row_has_no_rates_any_more():
    listed = make_price(model="gpt-x", source="catalogue")
    make_price(model="gpt-x", source="operator", starts_at=database_now() - timedelta(days=1))
    make_price(model="gpt-x", source="operator", rates={})

    assert find("gpt-x") == listed


def test_it_loads_all_prices_of_a_provider_when_asked():
    wanted = make_price(model="gpt-x", source="catalogue")
    make_price(model="other", source="catalogue", provider="groq")

    loaded = load_price_book(database_now(), deployments=[], models=[], all_of=["openai"])

    assert list(loaded.by_name.values()) == [wanted]


# -- LiteLLM's file and the command --------------------------------------------------------------


def test_it_reads_litellms_file(tmp_path):
    report = load_file(write_file(tmp_path, LITELLM))

    azure = Price.objects.get(provider="azure")
    assert report == {
        "source": "prices.json",
        "added": 2,
        "changed": 0,
        "unchanged": 0,
        "skipped": 2,
        "changes": [],
    }
    assert (azure.model, azure.source) == ("gpt-x", PriceSource.CATALOGUE)
    assert azure.rates == {
        "input": 2_500_000,
        "output": 10_000_000,
        "above": {"200000": {"input": 5_000_000}},
    }
    assert Price.objects.get(provider="gemini").rates == {"input": 1_000_001, "output": 0}


def test_it_does_not_let_one_list_undo_the_news_of_another(publish, tmp_path):
    publish({"gpt-x": {"input": 1}})
    load_catalogue()
    entry = {"gpt-x": {"litellm_provider": "openai", "input_cost_per_token": 2e-06}}
    load_file(write_file(tmp_path, entry))

    report = load_catalogue()

    assert (report["added"], report["unchanged"]) == (0, 1)
    assert book("gpt-x").find(model="gpt-x", **OPENAI).rates == {"input": 2_000_000}


@pytest.mark.parametrize("text", ["", "[]", "{", '"gpt"'])
def test_it_refuses_a_file_that_is_no_price_list(tmp_path, text):
    path = tmp_path / "prices.json"
    path.write_text(text)

    with pytest.raises(BadPriceList, match=r"prices\.json"):
        load_file(path)
    with pytest.raises(CommandError, match=r"prices\.json"):
        call_command("load_prices", file=path)
    assert not Price.objects.exists()


def test_its_command_prints_the_report_as_json(publish):
    publish({"gpt-x": {"input": 1}, "gpt-y": {"input": 2}})
    printed = StringIO()

    call_command("load_prices", stdout=printed)

    assert json.loads(printed.getvalue()) == {
        "source": "genai-prices 9.9",
        "added": 2,
        "changed": 0,
        "unchanged": 0,
        "skipped": 0,
        "changes": [],
    }


def test_its_command_loads_nothing_on_a_dry_run(tmp_path):
    printed = StringIO()

    call_command(
        "load_prices", "--dry-run", "--file", write_file(tmp_path, LITELLM), stdout=printed
    )

    assert json.loads(printed.getvalue())["added"] == 2
    assert not Price.objects.exists()


LITELLM = {
    "sample_spec": {"litellm_provider": "one of these", "input_cost_per_token": 0.0},
    "azure/gpt-X": {
        "litellm_provider": "azure",
        "mode": "chat",
        "input_cost_per_token": 2.5e-06,
        "output_cost_per_token": 1e-05,
        "input_cost_per_token_above_200k_tokens": 5e-06,
    },
    "gemini/flash": {
        "litellm_provider": "gemini",
        "input_cost_per_token": 1.0000001e-06,
        "output_cost_per_token": 0,
    },
    "runwayml/video": {"litellm_provider": "runwayml", "output_cost_per_video_per_second": 0.1},
    "broken": {"litellm_provider": "openai", "input_cost_per_token": "much"},
}


def write_file(folder, entries):
    path = folder / "prices.json"
    path.write_text(json.dumps(entries))
    return path


def make_price(*, provider="openai", rates=None, **fields):
    rates = {"input": 1} if rates is None else rates
    return Price.objects.create(provider=provider, rates=rates, **fields)


def find(model, deployment_id=None, providers=("openai",)):
    loaded = load_price_book(
        database_now(), deployments=[deployment_id] if deployment_id else [], models=[model]
    )
    return loaded.find(model=model, providers=providers, deployment_id=deployment_id)
