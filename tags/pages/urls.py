"""Addresses of the pages about tags, spend and calls."""

from django.urls import URLPattern, URLResolver, include, path

from tags.pages.books import BooksPage
from tags.pages.log import LogPage
from tags.pages.logs import LogsExport, LogsPage
from tags.pages.overview import OverviewPage
from tags.pages.reports import FocusExport, ReportExport, ReportsPage
from tags.pages.roster import RosterExport, RosterPage
from tags.pages.roster_bulk import BulkPage
from tags.pages.roster_limit import LimitPage

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("tags.pages.tag_urls")),
    path("", OverviewPage.as_view(), name="overview"),
    path("tags/", RosterPage.as_view(), name="tags"),
    path("tags/export.csv", RosterExport.as_view(), name="tags-export"),
    path("tags/bulk/", BulkPage.as_view(), name="tags-bulk"),
    path("logs/", LogsPage.as_view(), name="logs"),
    path("logs/export.csv", LogsExport.as_view(), name="logs-export"),
    path("logs/<uuid:pk>/", LogPage.as_view(), name="log"),
    path("books/", BooksPage.as_view(), name="books"),
    path("reports/", ReportsPage.as_view(), name="reports"),
    path("reports/export.csv", ReportExport.as_view(), name="reports-export"),
    path("reports/focus.csv", FocusExport.as_view(), name="reports-focus"),
    path("tags/<int:pk>/limit/", LimitPage.as_view(), name="tag-limit"),
]
