"""Paths of the shop that are Django's; those of calls are in proxy/paths.py."""

from django.urls import URLPattern, path
from rest_framework.views import APIView

from proxy import docs, health, metrics
from proxy.api import activity, budgets, deployments, exports, keys, reports, spend
from tags.views import paths

ENDS = ("", "/")
LIVENESS = ("livez", "health/liveliness", "health/liveness")
READINESS = ("readyz", "health/readiness")


def aliases(route: str, view: type[APIView]) -> list[URLPattern]:
    """Another name of a path, which the documents leave out."""
    return [path(f"{route}{end}", view.as_view(schema=None)) for end in ENDS]


urlpatterns = [
    # -- keys
    *paths("key/generate", keys.GenerateKeyView),
    *paths("key/info", keys.KeyInfoView),
    *paths("key/update", keys.UpdateKeyView),
    *paths("key/delete", keys.DeleteKeysView),
    *paths("key/list", keys.KeyListView),
    *paths("key/regenerate", keys.RegenerateKeyView),
    *paths("key/block", keys.BlockKeyView),
    *paths("key/unblock", keys.UnblockKeyView),
    *paths("key/<str:key>/regenerate", keys.RegenerateNamedKeyView),
    *paths("key/<str:key>/reset_spend", keys.ResetKeySpendView),
    # -- shared budgets
    *paths("budget/new", budgets.NewBudgetView),
    *paths("budget/update", budgets.UpdateBudgetView),
    *paths("budget/info", budgets.BudgetInfoView),
    *paths("budget/list", budgets.BudgetListView),
    *paths("budget/delete", budgets.DeleteBudgetView),
    # -- models
    *paths("model/new", deployments.NewModelView),
    *paths("model/update", deployments.UpdateModelView),
    *paths("model/delete", deployments.DeleteModelView),
    *paths("model/info", deployments.ModelInfoView),
    *aliases("v1/model/info", deployments.ModelInfoView),
    *paths("model/<str:model_id>/update", deployments.PatchModelView),
    # -- spend
    *paths("tag/daily/activity", activity.DailyActivityView),
    *paths("spend/logs", spend.LogArrayView),
    *paths("spend/logs/v2", spend.LogPageView),
    *aliases("spend/logs/ui", spend.LogPageView),
    *aliases("spend/logs/ui/<str:call_id>", spend.LogRowView),
    *paths("spend/logs/<str:call_id>", spend.LogRowView),
    *paths("spend/export", exports.ExportView),
    *paths("spend/focus", exports.FocusView),
    *paths("spend/calculate", spend.CalculateView),
    *paths("spend/tags", reports.SpendTagsView),
    *paths("global/spend/tags", reports.GlobalSpendTagsView),
    *paths("global/spend/all_tag_names", reports.AllTagNamesView),
    *paths("global/spend/report", reports.ReportView),
    # -- health
    *(path(f"{name}{end}", health.tell_liveness) for name in LIVENESS for end in ENDS),
    *(path(f"{name}{end}", health.tell_readiness) for name in READINESS for end in ENDS),
    *paths("health", health.HealthView),
    *(path(f"metrics{end}", metrics.tell_metrics) for end in ENDS),
    # -- docs
    path("openapi.json", docs.document, name="openapi"),
    *(path(f"docs{end}", docs.swagger, name="docs") for end in ENDS),
    *(path(f"redoc{end}", docs.redoc) for end in ENDS),
]
