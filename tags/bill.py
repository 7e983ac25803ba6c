"""Bill: what all calls came to, each counted once, whatever tags they carry."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bill:
    """Requests are all calls but refused ones."""

    cost: int
    requests: int
    untagged: int

    @property
    def untagged_share(self) -> str:
        """`6.2%` of the cost, rounded down to a tenth."""
        thousandths = 1_000 * self.untagged // self.cost if self.cost > 0 else 0
        return f"{thousandths // 10}.{thousandths % 10}%"
