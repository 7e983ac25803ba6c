"""Paths about tags."""

from tags.api import (
    AdoptTagsView,
    DeleteTagView,
    DistinctTagsView,
    NewTagView,
    ResetTagSpendView,
    TagInfoView,
    TagListView,
    TagSummaryView,
    UpdateTagView,
)
from tags.views import paths

urlpatterns = [
    *paths("tag/new", NewTagView),
    *paths("tag/update", UpdateTagView),
    *paths("tag/info", TagInfoView),
    *paths("tag/list", TagListView),
    *paths("tag/delete", DeleteTagView),
    *paths("tag/adopt", AdoptTagsView),
    *paths("tag/reset_spend", ResetTagSpendView),
    *paths("tag/summary", TagSummaryView),
    *paths("tag/distinct", DistinctTagsView),
]
