"""Metrics: /metrics for Prometheus: what the workers counted, and what the ledger's rows say.

For the master key and for loopback; for anyone with METRICS_PUBLIC=1. Labels are bounded: tags are
registered ones that have a limit, at most TAGS_MAX of them, and keys are in no label.
"""

from collections.abc import Mapping

from django.conf import settings
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from proxy.counters import OVERHEAD_MS, Series
from proxy.credentials import digest_of, presented_key, refusal_of_missing
from proxy.errors import Failure
from proxy.exposition import CONTENT_TYPE, Family, in_seconds, write_exposition
from proxy.permissions import find_caller
from proxy.tallies import Tallies
from proxy.wire import write_json
from spend.models import BudgetWindow, JobRun, Reservation

TAGS_MAX = 500
LOOPBACK = frozenset({"127.0.0.1", "::1"})
COUNTED = (
    ("requests", ("endpoint", "status"), "Answers of the gateway's paths."),
    ("admission", ("mode", "outcome", "reason"), "What the ledger said to calls."),
    ("cost_nanodollars", ("model", "usage_source"), "What settled calls cost."),
    ("tokens", ("model", "kind"), "Tokens of settled calls."),
    ("reservations_expired", (), "Calls that were settled at the estimate."),
    ("rate_limit_failopen", (), "Calls whose rate limits could not be looked up."),
    ("budget_failopen", (), "Calls that no budget was asked for: always 0."),
)


@require_safe
def tell_metrics(request: HttpRequest) -> HttpResponse:
    try:
        refuse_unless_reader(request)
    except Failure as failure:
        body = write_json({**failure.body(), "detail": failure.message})
        return HttpResponse(body, status=failure.status, content_type="application/json")
    counts = Tallies(settings.DATA_DIR / "metrics").read()
    families = [*families_of_counts(counts), *families_of_rows()]
    return HttpResponse(write_exposition(families), content_type=CONTENT_TYPE)


def refuse_unless_reader(request: HttpRequest) -> None:
    """Raises Failure. A key that is presented counts, wherever it comes from."""
    if settings.METRICS_PUBLIC:
        return
    presented = presented_key(request.headers)
    if presented is not None:
        if not find_caller(digest_of(presented)).is_master:
            raise Failure(403, "permission_denied", "Metrics are for the master key.")
        return
    if not is_from_here(request):
        raise refusal_of_missing()


def is_from_here(request: HttpRequest) -> bool:
    """What a proxy on this machine passes on comes from elsewhere, whether it is trusted or not."""
    is_passed_on = "x-forwarded-for" in request.headers or "forwarded" in request.headers
    return not is_passed_on and request.META.get("REMOTE_ADDR") in LOOPBACK


def families_of_counts(counts: Mapping[Series, int]) -> list[Family]:
    by_name: dict[str, list[tuple[str, Series, str]]] = {}
    for (name, *labels), count in sorted(counts.items()):
        by_name.setdefault(name, []).append(("", tuple(labels), str(count)))
    nothing = [("", (), "0")]
    plain = [
        Family(
            f"tollgate_{name}_total",
            "counter",
            about,
            labels,
            by_name.get(name, [] if labels else nothing),
        )
        for name, labels, about in COUNTED
    ]
    return [*plain, overhead(counts), upstream(counts), *batches(counts)]


def overhead(counts: Mapping[Series, int]) -> Family:
    """A histogram's buckets hold what is below them too."""
    samples: list[tuple[str, Series, str]] = []
    total = 0
    for place, bound in enumerate([*(f"{ms / 1000:g}" for ms in OVERHEAD_MS), "+Inf"]):
        total += counts.get(("overhead", str(place)), 0)
        samples.append(("_bucket", (bound,), str(total)))
    samples.append(("_sum", (), in_seconds(counts.get(("overhead_us",), 0))))
    samples.append(("_count", (), str(total)))
    about = "Our part of the time until an answer's head."
    return Family("tollgate_overhead_seconds", "histogram", about, (), samples)


def upstream(counts: Mapping[Series, int]) -> Family:
    samples = (
        ("_sum", (), in_seconds(counts.get(("upstream_us",), 0))),
        ("_count", (), str(counts.get(("upstream_count",), 0))),
    )
    about = "The upstreams' part of the time until an answer's head."
    return Family("tollgate_upstream_seconds", "summary", about, (), samples)


def batches(counts: Mapping[Series, int]) -> list[Family]:
    """Per lane: how many round trips, how many calls in them, how long they took."""
    size: list[tuple[str, Series, str]] = []
    seconds: list[tuple[str, Series, str]] = []
    waiting: list[tuple[str, Series, str]] = []
    for (name, *labels), count in sorted(counts.items()):
        if name == "batch_items":
            flights = str(counts.get(("batches", *labels), 0))
            size += [("_sum", tuple(labels), str(count)), ("_count", tuple(labels), flights)]
            took = in_seconds(counts.get(("batch_us", *labels), 0))
            seconds += [("_sum", tuple(labels), took), ("_count", tuple(labels), flights)]
        elif name == "settle_queue":
            waiting.append(("", (), str(count)))
    verb = ("verb",)
    return [
        Family("tollgate_ledger_batch_size", "summary", "Calls in a commit.", verb, size),
        Family("tollgate_ledger_seconds", "summary", "How long commits took.", verb, seconds),
        Family("tollgate_settle_queue", "gauge", "Bills still to be written.", (), waiting),
    ]


def families_of_rows() -> list[Family]:
    """From the ledger's tables: the same from whichever worker answers."""
    jobs = JobRun.objects.exclude(last_success_at=None).values_list("job", "last_success_at")
    finished = [("", (job,), str(int(at.timestamp()))) for job, at in sorted(jobs) if at]
    held = [("", (), str(Reservation.objects.count()))]
    return [
        Family("tollgate_reservations_open", "gauge", "Calls in flight.", (), held),
        Family(
            "tollgate_job_last_success_timestamp",
            "gauge",
            "When a job last worked.",
            ("job",),
            finished,
        ),
        Family(
            "tollgate_budget_remaining_ratio",
            "gauge",
            "What is left of a tag's own budget, of 1.",
            ("tag",),
            remaining_ratios(),
        ),
    ]


def remaining_ratios() -> list[tuple[str, Series, str]]:
    """Of the tags that spent most of their limits; who has not spent has no window, and is full."""
    windows = (
        BudgetWindow.objects.filter(is_open=True, limit__gt=0, budget__tag__isnull=False)
        .annotate(taken=(F("spent") + F("reserved")) * 1_000_000 / F("limit"))
        .order_by("-taken")
        .values_list("budget__tag__name", "taken")[:TAGS_MAX]
    )
    return [("", (name,), in_seconds(max(0, 1_000_000 - taken))) for name, taken in windows]
