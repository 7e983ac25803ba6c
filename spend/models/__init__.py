"""The bank's rows."""

from spend.models.accounts import Budget, BudgetMode, BudgetWindow, FurtherDraw, Reservation
from spend.models.alerts import Alert, AlertDelivery, AlertKind, DeliveryState
from spend.models.closings import ClosedSpan, ClosedWindow, Closing
from spend.models.events import Audit, AuditSeal, JobRun
from spend.models.log import CallStatus, Rollup, SpendLog, TagSet
from spend.models.prices import Price, PriceSource

__all__ = [
    "Alert",
    "AlertDelivery",
    "AlertKind",
    "Audit",
    "AuditSeal",
    "Budget",
    "BudgetMode",
    "BudgetWindow",
    "CallStatus",
    "ClosedSpan",
    "ClosedWindow",
    "Closing",
    "DeliveryState",
    "FurtherDraw",
    "JobRun",
    "Price",
    "PriceSource",
    "Reservation",
    "Rollup",
    "SpendLog",
    "TagSet",
]
