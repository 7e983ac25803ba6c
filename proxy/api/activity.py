"""The activity API: GET /tag/daily/activity, in LiteLLM's shape."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from proxy.activity_answers import activity_object
from proxy.report_queries import ActivityQuery
from spend.activity import ActivityScope, read_activity
from tags.views import ManagementView

METRICS = {
    "spend": 0.12,
    "prompt_tokens": 10,
    "completion_tokens": 20,
    "cache_read_input_tokens": 0,
    "cache_creation_input_tokens": 0,
    "total_tokens": 30,
    "successful_requests": 1,
    "failed_requests": 0,
    "api_requests": 1,
}
SHARE = {"metrics": METRICS, "metadata": {}, "api_key_breakdown": {}}
EXAMPLE = {
    "results": [
        {
            "date": "2026-11-20",
            "metrics": METRICS,
            "breakdown": {
                "models": {"gpt-4o": SHARE},
                "model_groups": {"gpt-4o": SHARE},
                "providers": {},
                "endpoints": {},
                "api_keys": {},
                "mcp_servers": {},
                "entities": {"engineering": SHARE},
            },
        }
    ],
    "metadata": {
        "total_spend": 0.12,
        "total_prompt_tokens": 10,
        "total_completion_tokens": 20,
        "total_tokens": 30,
        "total_api_requests": 1,
        "total_successful_requests": 1,
        "total_failed_requests": 0,
        "total_cache_read_input_tokens": 0,
        "page": 1,
        "total_pages": 1,
        "has_more": False,
        "overlapping": True,
    },
}


class DailyActivityView(ManagementView):
    @extend_schema(
        parameters=[ActivityQuery],
        responses=OpenApiTypes.OBJECT,
        examples=[OpenApiExample("a day", EXAMPLE, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        """What each day came to, the newest first, by model, by key and by tag.

        `metrics` and `metadata` count each call once; only `entities` counts it under each of its
        tags. A page has whole days, and `metadata` adds up the days of its page.
        """
        asked = self.read_query(ActivityQuery)
        number, size = asked["page"], asked["page_size"]
        scope = ActivityScope(
            covered=asked["covered"],
            tags=tuple(asked["tags"]) if asked.get("tags") else None,
            key_id=asked.get("api_key"),
            model=asked.get("model"),
        )
        page = read_activity(scope, skip=(number - 1) * size, days_max=size)
        return Response(activity_object(page, number=number, size=size))
