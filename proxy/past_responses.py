"""Past responses: which deployment made one, as far as the log knows it."""

from uuid import UUID

from spend.models import SpendLog


def find_maker(response_id: str) -> UUID | None:
    row = (
        SpendLog.objects.filter(upstream_request_id=response_id, endpoint="responses")
        .order_by("-id")
        .values_list("deployment_id", flat=True)
    )
    return row.first()
