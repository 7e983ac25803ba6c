"""The bill: what all calls of a range come to, each counted once, and those without a tag."""

from dataclasses import dataclass

from django.db import connection

from spend.ranges import Range

BILL = """
select coalesce(sum(r.cost), 0), coalesce(sum(r.requests), 0),
       coalesce(sum(r.cost) filter (where s.tags = '{}'), 0)
  from (select tag_set_id, sum(cost) as cost, sum(requests) as requests from spend_rollup
         where span = %(span)s and starts_at >= %(starts_at)s and starts_at < %(ends_at)s
         group by tag_set_id) as r
  join spend_tagset s on s.id = r.tag_set_id
"""


@dataclass(frozen=True, slots=True)
class Bill:
    """Each call once. Requests are all calls but refused ones."""

    cost: int
    requests: int
    untagged: int

    @property
    def untagged_share(self) -> str:
        """`6.2%` of the cost, rounded down to a tenth."""
        thousandths = 1_000 * self.untagged // self.cost if self.cost > 0 else 0
        return f"{thousandths // 10}.{thousandths % 10}%"


def read_bill(covered: Range) -> Bill:
    bounds = {"span": covered.span, "starts_at": covered.starts_at, "ends_at": covered.ends_at}
    with connection.cursor() as cursor:
        cursor.execute(BILL, bounds)
        cost, requests, untagged = cursor.fetchone()
    return Bill(int(cost), int(requests), int(untagged))
