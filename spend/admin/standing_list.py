"""StandingList: a list whose rows know how their budgets stand, in a fixed number of queries."""

from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest

from spend.standings import read_standings


class StandingList(ChangeList):
    """Sets `standings`, by a budget's primary key, on each row of a TermsShown's page."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows = list(self.result_list)
        shown: Any = self.model_admin
        counted = shown.counted_budgets
        standings = read_standings(budget for row in rows for budget in counted(row))
        for row in rows:
            row.standings = standings
        self.result_list = rows
