"""Charts in templates: shapes in SVG, words in HTML around them, a table that says the same."""

from collections.abc import Iterable, Sequence
from typing import Any

from django import template

from spend.amounts import exact_text, sum_text
from tags.charts import bars
from tags.charts.burn import BurnUp
from tags.charts.days import StackedDays

register = template.Library()


@register.inclusion_tag("tags/charts/_budget_bar.html")
def budget_bar(
    spent: int, reserved: int, limit: int | None, soft_limit: int | None = None, tone: str = ""
) -> dict[str, Any]:
    """`tone` is a status's: ok, warn, bad. Nothing without a limit. The text beside it says it."""
    return {"bar": bars.budget_bar(spent, reserved, limit, soft_limit, tone=tone)}


@register.inclusion_tag("tags/charts/_sparkline.html")
def sparkline(amounts: Sequence[int], label: str = "") -> dict[str, Any]:
    """A bar a day, the oldest first; its sum and its highest are said unless `label` is."""
    total, most = sum(amounts), max(amounts, default=0)
    said = label or (
        f"Last {len(amounts)} days {sum_text(total)}, highest {sum_text(most)} a day"
        if total
        else f"Nothing in the last {len(amounts)} days"
    )
    return {"path": bars.sparkline(amounts), "label": said}


@register.inclusion_tag("tags/charts/_stacked_days.html")
def stacked_days(chart: StackedDays, noun: str = "model") -> dict[str, Any]:
    """`noun` is what the series are: model, key."""
    return {"chart": chart, "noun": noun}


@register.inclusion_tag("tags/charts/_burn_up.html")
def burn_up(
    chart: BurnUp,
    label: str = "",
    rows: Sequence[Any] = (),
    limit: int | None = None,
    soft_limit: int | None = None,
) -> dict[str, Any]:
    """`label` is the chart in a sentence. `rows` of the table: (day, spent, total)."""
    words = {"label": label, "rows": rows, "limit": limit, "soft_limit": soft_limit}
    return {"chart": chart, **words}


@register.inclusion_tag("tags/charts/_bar_list.html")
def bar_list(
    rows: Iterable[tuple[str, int, str, str]], caption: str = "", noun: str = "Name"
) -> dict[str, Any]:
    """`rows`: name, nano-dollars, address or "", note or ""."""
    return {"lines": bars.bar_list(rows), "caption": caption, "noun": noun}


@register.filter
def axis_dollars(nanos: int) -> str:
    """An axis ends at few digits, so all are told; cents are left out where there are none."""
    return exact_text(nanos).removesuffix(".00")
