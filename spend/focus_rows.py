"""FOCUS rows: charges as the columns of FOCUS 1.2 or 1.3, as text."""

import json
from collections.abc import Generator, Iterable
from contextlib import closing
from datetime import UTC, date, datetime

from django.conf import settings

from spend.csv_cells import csv_text, inert
from spend.focus import Charge, Charges
from spend.meters import SECONDS
from spend.money import dollars_text
from spend.windows import midnight

VERSIONS = ("1.2", "1.3")
ACCOUNT_ID, ACCOUNT = "tollgate", "Tollgate"  # whose sub-accounts the keys are
CATEGORY = "AI and Machine Learning"
NAMES = {
    "openai": "OpenAI",
    "azure": "Microsoft Azure",
    "anthropic": "Anthropic",
    "groq": "Groq",
    "mistral": "Mistral AI",
    "deepseek": "DeepSeek",
    "openrouter": "OpenRouter",
    "together_ai": "Together AI",
    "fireworks_ai": "Fireworks AI",
    "xai": "xAI",
    "gemini": "Google",
    "ollama": "Ollama",
    "hosted_vllm": "vLLM",
}
COLUMNS = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency",
    "BillingPeriodStart", "BillingPeriodEnd", "ChargeCategory", "ChargeClass",
    "ChargeDescription", "ChargePeriodStart", "ChargePeriodEnd", "ContractedCost",
    "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit",
    "ProviderName", "PublisherName", "ServiceCategory", "ServiceName", "Tags", "SubAccountId",
    "SubAccountName", "ResourceId", "ConsumedQuantity", "ConsumedUnit", "SkuId", "SkuPriceId",
    "x_RequestCount", "x_Model",
)  # fmt: skip
SINCE_1_3 = ("ServiceProviderName", "HostProviderName")


def columns_of(version: str) -> tuple[str, ...]:
    return COLUMNS if version == "1.2" else COLUMNS + SINCE_1_3


def focus_csv(charges: Iterable[Charge], version: str) -> str:
    """Lines without the header."""
    columns = columns_of(version)
    return csv_text([[row[name] for name in columns] for row in map(focus_row, charges)])


def focus_lines(charges: Charges, version: str) -> Generator[bytes, None, None]:
    """A header, also when there is no charge; then a piece of lines for each piece of charges."""
    head = csv_text([columns_of(version)])
    with closing(charges):
        for listed in charges:
            yield (head + focus_csv(listed, version)).encode()
            head = ""
    if head:
        yield head.encode()


def focus_row(charge: Charge) -> dict[str, str]:
    """Money is exact to the nano-dollar. Nobody grants us a discount: all four costs are one."""
    sold, meter = charge.sold, charge.meter
    month, next_month = _month(charge.day)
    provider = inert(NAMES.get(sold.provider or "", sold.provider or ACCOUNT))
    cost = dollars_text(charge.cost)
    quantity = _quantity(charge)
    sku = f"{sold.provider or ACCOUNT_ID}/{charge.model}/{meter.name}/{meter.unit}"
    return {
        **dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"), cost),
        "BillingAccountId": ACCOUNT_ID,
        "BillingAccountName": ACCOUNT,
        "BillingCurrency": "USD",
        "BillingPeriodStart": month,
        "BillingPeriodEnd": next_month,
        "ChargeCategory": "Usage",
        "ChargeClass": "",  # of a correction to a month that was billed; ours are in their month
        "ChargeDescription": inert(f"{charge.model}: {meter.name}"),
        "ChargePeriodStart": _time(charge.starts_at),
        "ChargePeriodEnd": _time(charge.ends_at),
        "InvoiceIssuerName": provider,
        "PricingQuantity": quantity,
        "PricingUnit": meter.unit,
        "ProviderName": provider,
        "PublisherName": provider,
        "ServiceCategory": CATEGORY,
        "ServiceName": f"{provider} API",
        "Tags": json.dumps(dict.fromkeys(charge.tags, True), ensure_ascii=False),
        "SubAccountId": str(sold.key_id),
        "SubAccountName": inert(charge.key_alias),
        "ResourceId": str(sold.deployment_id or ""),
        "ConsumedQuantity": quantity,
        "ConsumedUnit": meter.unit,
        "SkuId": inert(sku),
        "SkuPriceId": f"{sold.price_id}/{meter.name}/{meter.unit}" if sold.price_id else "",
        "x_RequestCount": str(charge.calls),
        "x_Model": inert(sold.model),
        "ServiceProviderName": provider,
        "HostProviderName": provider,
    }


def _quantity(charge: Charge) -> str:
    if charge.meter.unit != SECONDS:
        return str(charge.quantity)
    seconds, thousandths = divmod(charge.quantity, 1_000)
    return f"{seconds}.{thousandths:03d}"


def _month(day: date) -> tuple[str, str]:
    zone = settings.REPORT_TIME_ZONE
    first = day.replace(day=1)
    following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return _time(midnight(first, zone)), _time(midnight(following, zone))


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
