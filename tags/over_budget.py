"""Over budget: which tags have no room left, on any budget that they draw on."""

from datetime import datetime

from django.db.models import F, Q

from spend.models import BudgetWindow
from tags.models import Tag


def tags_over_budget(now: datetime, *, count_max: int) -> list[str]:
    """Their names, in order, in one query; what is held counts like what is spent.

    A window that has ended counts only where no amount would fit into the next one either.
    """
    in_time = Q(ends_at__isnull=True) | Q(ends_at__gt=now)
    full = in_time & Q(limit__lte=F("spent") + F("reserved"))
    over = BudgetWindow.objects.open().filter(full | Q(limit=0)).values("budget_id")
    tags = Tag.objects.filter(Q(budget__in=over) | Q(draws__budget__in=over))
    return list(tags.order_by("name").values_list("name", flat=True).distinct()[:count_max])
