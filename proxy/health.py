"""Health: whether this process lives, whether it can serve, and what traffic showed of upstreams.

    /livez and its names      touches nothing
    /readyz and its names     PostgreSQL, the migrations, Redis; 503 if a call could not be served
    /health                   for the master key; calls no model and costs nothing

While the server drains, config/draining.py answers the first two itself.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, Max, Q
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from redis import Redis
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.response import Response

from proxy.models import Deployment
from spend.ids import floor_id
from spend.models import CallStatus, JobRun, Reservation, SpendLog
from spend.rollover import database_now
from tags.views import ManagementView

CACHE_SECONDS_MAX = 0.5
LOOKED_BACK = timedelta(minutes=15)


@require_safe
def tell_liveness(request: HttpRequest) -> HttpResponse:
    return JsonResponse("I'm alive!", safe=False)


@require_safe
def tell_readiness(request: HttpRequest) -> HttpResponse:
    """Redis down is told, but turns nobody away: only rate limits need it."""
    database, is_ready = look_at_database()
    status = "healthy" if is_ready else "unhealthy"
    answer = {"status": status, "db": database, "cache": look_at_cache()}
    return JsonResponse(answer, status=200 if is_ready else 503)


def look_at_database() -> tuple[str, bool]:
    """Whether it is connected, and whether it has all tables."""
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return "disconnected", False
    return ("migrations are missing", False) if missing else ("connected", True)


def look_at_cache() -> str:
    try:
        with Redis.from_url(
            settings.REDIS_URL,
            socket_timeout=CACHE_SECONDS_MAX,
            socket_connect_timeout=CACHE_SECONDS_MAX,
        ) as redis:
            redis.ping()
    except (RedisError, OSError):
        return "disconnected"
    return "connected"


class HealthView(ManagementView):
    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """What the calls of the last quarter of an hour showed, the ledger, and the jobs."""
        endpoints = look_at_endpoints()
        bad = [endpoint for endpoint in endpoints if not endpoint.pop("is_healthy")]
        good = [endpoint for endpoint in endpoints if endpoint not in bad]
        return Response(
            {
                "healthy_endpoints": good,
                "unhealthy_endpoints": bad,
                "healthy_count": len(good),
                "unhealthy_count": len(bad),
                "ledger": look_at_ledger(),
                "jobs": dict(JobRun.objects.values_list("job", "last_success_at")),
            }
        )


def look_at_endpoints() -> Sequence[dict[str, Any]]:
    """An endpoint is unhealthy when calls went to it and every one of them failed."""
    since = floor_id(database_now() - LOOKED_BACK)
    failed = Q(status=CallStatus.FAILURE)
    seen: dict[Any, Any] = {
        row["deployment_id"]: row
        for row in SpendLog.objects.filter(id__gte=since, deployment_id__isnull=False)
        .exclude(status__in=[CallStatus.REFUSED, CallStatus.CORRECTION])
        .values("deployment_id")
        .annotate(
            calls=Count("id"), failed=Count("id", filter=failed), last_call_at=Max("ended_at")
        )
        .order_by()
    }
    return [
        _endpoint(deployment, seen.get(deployment.id, {}))
        for deployment in Deployment.objects.filter(enabled=True).select_related("upstream")
    ]


def _endpoint(deployment: Deployment, seen: dict[str, Any]) -> dict[str, Any]:
    calls, failed = seen.get("calls", 0), seen.get("failed", 0)
    return {
        "model_name": deployment.model_name,
        "model": f"{deployment.upstream.provider}/{deployment.upstream_model}",
        "model_id": deployment.id,
        "calls": calls,
        "failed_calls": failed,
        "last_call_at": seen.get("last_call_at"),
        "is_healthy": calls == 0 or failed < calls,
    }


def look_at_ledger() -> dict[str, int]:
    now = database_now()
    return Reservation.objects.aggregate(
        reservations_open=Count("id"),
        reservations_overdue=Count("id", filter=Q(expires_at__lt=now)),
    )
