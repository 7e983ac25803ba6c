"""Paths of the shop that are Django's; those of calls are in proxy/paths.py."""

from proxy.api import budgets, keys
from tags.views import paths

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
    *paths("key/<str:key>/regenerate", keys.RegenerateKeyView),
    *paths("key/<str:key>/reset_spend", keys.ResetKeySpendView),
    # -- shared budgets
    *paths("budget/new", budgets.NewBudgetView),
    *paths("budget/update", budgets.UpdateBudgetView),
    *paths("budget/info", budgets.BudgetInfoView),
    *paths("budget/list", budgets.BudgetListView),
    *paths("budget/delete", budgets.DeleteBudgetView),
    # -- models
    # -- spend
    # -- health
    # -- docs
]
