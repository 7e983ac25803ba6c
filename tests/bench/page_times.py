"""Page times: how long each takes on a long log, how many queries, and whether any reads all of it.

Run by `python -m tests.bench pages` in a process of its own, whose environment names the database.
"""

import argparse
import gzip
import statistics
import time
from collections.abc import Mapping
from typing import Any

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext, setup_test_environment  # noqa: E402

from proxy.models import APIKey, Deployment  # noqa: E402
from spend.models import SpendLog  # noqa: E402
from tags.models import Tag  # noqa: E402
from tests.bench.past import make_past, name_of  # noqa: E402
from tests.bench.report import print_table, write_report  # noqa: E402

LOG = "spend_spendlog"
COLUMNS = ("page", "median ms", "p95 ms", "queries", "gzip KB", "reads the whole log")


def addresses(hot: str) -> Mapping[str, str]:
    tag = Tag.objects.get(name=hot).pk
    key = APIKey.objects.get(alias="key-3").pk
    model = Deployment.objects.first()
    call = SpendLog.objects.order_by("-id").first()
    return {
        "Overview": "/",
        "Overview, year to date": "/?range=year",
        "Tags": "/tags/",
        "Tags by forecast": "/tags/?sort=forecast",
        "Tags, searched": "/tags/?q=team:00",
        "Tag": f"/tags/{tag}/",
        "Tag, year to date": f"/tags/{tag}/?range=year",
        "Tag: breakdown": f"/tags/{tag}/breakdown/",
        "Tag: logs": f"/tags/{tag}/logs/",
        "Tag: alerts": f"/tags/{tag}/alerts/",
        "Tag: history": f"/tags/{tag}/history/",
        "Tag: form": f"/tags/{tag}/edit/",
        "Keys": "/keys/",
        "Key": f"/keys/{key}/",
        "Prices": "/prices/",
        "Price": f"/prices/{model.pk}/",
        "Logs": "/logs/",
        "Logs, a tag, 30 days": f"/logs/?tag={hot}&range=30d",
        "Logs, a key, 90 days": "/logs/?key=key-3&range=90d",
        "Logs, failed, 90 days": "/logs/?status=failure&range=90d",
        "Logs, a model nobody asks for, 90 days": "/logs/?model=none&range=90d",
        "Log": f"/logs/{call.pk}/",
        "Reports: tag by model": "/reports/",
        "Reports: tag by day, 30 days": "/reports/?rows=tag&columns=day&range=30d",
        "Reports: model by month, year": "/reports/?rows=model&columns=month&range=year",
        "Reports: key by week, 90 days": "/reports/?rows=key&columns=week&range=90d",
        "Books": "/books/",
        "Try it": "/try/",
        "Admin": "/admin/",
        "Admin: spend logs": "/admin/spend/spendlog/",
        "Admin: tags": "/admin/tags/tag/",
        "API: /tag/list": "/tag/list",
        "API: /spend/tags": "/spend/tags",
        "API: /spend/logs": "/spend/logs",
    }


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, required=True)
    options.add_argument("--tags", type=int, required=True)
    options.add_argument("--rounds", type=int, required=True)
    chosen = options.parse_args()
    setup_test_environment()
    started = time.perf_counter()
    make_past(chosen.rows, chosen.tags)
    seconds = time.perf_counter() - started
    print(f"{chosen.rows:,} calls of {chosen.tags:,} tags made in {seconds:,.0f} s", flush=True)
    return measure(chosen.rows, chosen.tags, chosen.rounds)


def measure(rows: int, tags: int, rounds: int) -> int:
    user = User.objects.create_superuser("bench", password="b")
    client = Client(HTTP_HOST="localhost")
    client.force_login(user)
    master = {"HTTP_AUTHORIZATION": f"Bearer {settings.MASTER_KEY}"}
    pages = addresses(name_of(2))
    times: dict[str, list[float]] = {name: [] for name in pages}
    for _ in range(rounds + 1):
        for name, address in pages.items():
            began = time.perf_counter()
            answer = client.get(address, **(master if name.startswith("API") else {}))
            times[name].append(time.perf_counter() - began)
            assert answer.status_code == 200, (address, answer.status_code)
    table, figures, bad = [], {}, 0
    for name, address in pages.items():
        with CaptureQueriesContext(connection) as sent:
            answer = client.get(address, **(master if name.startswith("API") else {}))
        took = sorted(1_000 * one for one in times[name][1:])  # the first one warms
        scans = sum(reads_all(query["sql"]) for query in sent)
        bad += bool(scans)
        row = (
            statistics.median(took), took[int(0.95 * (len(took) - 1))], len(sent),
            len(gzip.compress(answer.content)) / 1_000, "YES" if scans else "no",
        )  # fmt: skip
        table.append((name, *row))
        figures[name] = dict(zip(COLUMNS[1:], row, strict=True))
    print_table(f"{rows:,} calls, {tags:,} tags, {rounds} rounds", COLUMNS, table)
    write_report("pages", {"rows": rows, "tags": tags, "bytes per call": bytes_per_call(rows),
                           "pages": figures})  # fmt: skip
    print(f"{bytes_per_call(rows):,.0f} bytes a call, indexes included")
    return 1 if bad else 0


def reads_all(query: str) -> bool:
    """Whether the plan has a sequential scan of the log, or of a part of it that holds rows."""
    if LOG not in query or not query.lstrip().lower().startswith(("select", "with")):
        return False
    with connection.cursor() as cursor:
        cursor.execute("set random_page_cost = 1.1")
        cursor.execute(f"explain (format json) {query}")
        (found,) = cursor.fetchone()
    return any(_scans(part["Plan"]) for part in found)


def _scans(plan: Mapping[str, Any]) -> bool:
    relation = str(plan.get("Relation Name", ""))
    is_scan = plan["Node Type"] == "Seq Scan" and relation.startswith(LOG)
    if is_scan and plan.get("Plan Rows", 0) > 1 and not relation.endswith("default"):
        return True
    return any(_scans(inner) for inner in plan.get("Plans", ()))


def bytes_per_call(rows: int) -> float:
    query = """select sum(pg_total_relation_size(inhrelid)) from pg_inherits
                where inhparent = 'spend_spendlog'::regclass"""
    with connection.cursor() as cursor:
        cursor.execute(query)
        (size,) = cursor.fetchone()
    return float(size) / rows


if __name__ == "__main__":
    raise SystemExit(main())
