"""Addresses of one tag's pages: its form, its tabs, its actions. A tag's address is its id."""

from django.urls import path

from tags.pages.tag_actions import (
    AdoptTag,
    BlockTag,
    DeleteTag,
    RaiseWindow,
    ResetSpend,
    UnblockTag,
)
from tags.pages.tag_alerts import AlertsTab, SendAgain, SendTest
from tags.pages.tag_edit import EditTag, NewTag
from tags.pages.tag_logs import LogsTab
from tags.pages.tag_tabs import BreakdownTab, HistoryTab, NamedTag, SummaryTab, UseTag

urlpatterns = [
    path("tags/new/", NewTag.as_view(), name="tag-new"),
    path("tags/named/", NamedTag.as_view(), name="tag-named"),
    path("tags/adopt/", AdoptTag.as_view(), name="tag-adopt"),
    path("tags/<int:pk>/", SummaryTab.as_view(), name="tag-summary"),
    path("tags/<int:pk>/breakdown/", BreakdownTab.as_view(), name="tag-breakdown"),
    path("tags/<int:pk>/logs/", LogsTab.as_view(), name="tag-logs"),
    path("tags/<int:pk>/alerts/", AlertsTab.as_view(), name="tag-alerts"),
    path("alerts/test/", SendTest.as_view(), name="alert-test"),
    path("alerts/<uuid:pk>/again/", SendAgain.as_view(), name="alert-again"),
    path("tags/<int:pk>/history/", HistoryTab.as_view(), name="tag-history"),
    path("tags/<int:pk>/use/", UseTag.as_view(), name="tag-use"),
    path("tags/<int:pk>/edit/", EditTag.as_view(), name="tag-edit"),
    path("tags/<int:pk>/raise/", RaiseWindow.as_view(), name="tag-raise"),
    path("tags/<int:pk>/block/", BlockTag.as_view(), name="tag-block"),
    path("tags/<int:pk>/unblock/", UnblockTag.as_view(), name="tag-unblock"),
    path("tags/<int:pk>/reset/", ResetSpend.as_view(), name="tag-reset"),
    path("tags/<int:pk>/delete/", DeleteTag.as_view(), name="tag-delete"),
]
