"""Attempt: one forwarding of a call to one deployment, and those that went before it."""

from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter
from typing import Any

from proxy.answers import Headers, encode_headers
from proxy.drains import Drains
from proxy.explaining import plan_headers
from proxy.metering import Meter
from proxy.plan import Plan
from proxy.relay import Outlet
from proxy.upstreams.contract import Reply
from spend.billing import Bill, Ending, bill_for, join_bills
from spend.ledger import Hold
from spend.money import Nanos

PASSED_BACK = (
    ("x-request-id", "x-upstream-request-id"),
    ("openai-processing-ms", "openai-processing-ms"),
)


@dataclass(frozen=True, slots=True)
class Tried:
    """An attempt that is over, and that another one followed."""

    plan: Plan
    status: int
    milliseconds: int
    bill: Bill
    error: str  # its type, as the client would have been told

    def told(self) -> dict[str, Any]:
        """As the call's row has it; the cost in nano-dollars."""
        return {
            "model_id": self.plan.route.card.id_text,
            "status": self.status or None,
            "ms": self.milliseconds,
            "cost": self.bill.cost,
            "error": self.error,
        }


@dataclass(slots=True)
class Attempt:
    """The current one, and when its head and first byte came. `share` is the part of the hold that
    it costs if its ending is unknown."""

    plan: Plan
    hold: Hold
    meter: Meter
    outlet: Outlet
    drains: Drains
    share: Nanos
    seconds: float  # what all of them may take together
    started: float = 0.0
    began: float = 0.0  # when the first of them started
    upstream_ms: float = 0.0
    overhead_ms: float = 0.0  # ours, until the head was told
    status: int = 0
    is_dropped: bool = False  # by us, as its client had left
    is_further: bool = False
    had_no_room: bool = False  # another one would not have fitted
    first_byte_at: datetime | None = None
    passed_back: dict[str, str] = field(default_factory=dict)
    tried: tuple[Tried, ...] = ()
    _bill: tuple[Ending, Bill] | None = None

    @property
    def bill(self) -> Bill:
        """What the call owes as things stand; worked out again only when they have changed."""
        ending = self.meter.ending
        if self._bill is None or self._bill[0] != ending:
            bill = bill_for([ending], estimate=self.share)
            if self.tried:
                bill = join_bills([*(tried.bill for tried in self.tried), bill])
            self._bill = (ending, bill)
        return self._bill[1]

    @property
    def own_bill(self) -> Bill:
        """Without what was tried before."""
        return bill_for([self.meter.ending], estimate=self.share)

    @property
    def milliseconds(self) -> int:
        return int((perf_counter() - self.started) * 1000) if self.started else 0

    def start(self) -> None:
        self.started = perf_counter()
        self.began = self.began or self.started

    def begin_again(self, plan: Plan, hold: Hold, share: Nanos, *, error: str) -> None:
        """This one is over, and another follows. What was never sent is not told of."""
        if self.started:
            over = Tried(self.plan, self.status, self.milliseconds, self.own_bill, error)
            self.tried = (*self.tried, over)
        self.plan, self.hold, self.share = plan, hold, share
        self.meter = plan.call.endpoint.meter(plan.call, plan.route)
        self.started, self.status, self.first_byte_at = 0.0, 0, None
        self.is_dropped, self.is_further, self._bill = False, True, None
        self.passed_back.clear()

    def clock_upstream(self) -> None:
        """What is the upstreams' part of the time; the waits between them are nobody's."""
        self.upstream_ms = (perf_counter() - self.began) * 1000

    def hear(self, reply: Reply) -> None:
        """The upstream's head is here: note what of it is passed on."""
        self.status = reply.status
        self.meter.hear()
        self.clock_upstream()
        for name, ours in PASSED_BACK:
            if value := reply.header(name):
                self.passed_back[ours] = value.encode("ascii", "ignore").decode()[:255]

    def explain(self, *, with_cost: bool = True) -> Headers:
        """What the headers say of the call; its cost, once it is known."""
        cost = self.bill.cost if with_cost else None
        self.overhead_ms = max(0.0, self.plan.milliseconds() - self.upstream_ms)
        explained = plan_headers(self.plan, self.hold, upstream_ms=self.upstream_ms, cost=cost)
        return explained + encode_headers(self.passed_back.items())
