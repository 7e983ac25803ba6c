"""Reports: any two dimensions against each other; the same as CSV; the ledger as a FOCUS bill."""

from collections.abc import Callable, Mapping
from datetime import date
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse

from spend.csv_cells import csv_text, inert
from spend.focus import read_charges
from spend.focus_rows import VERSIONS, focus_lines
from spend.money import dollars_text
from spend.pivot import Most, Pivot, Value, read_pivot
from spend.pivot_sql import SEVERAL, TIMES
from spend.ranges import DAY, Range, days_of
from spend.reports import TooManyLines
from spend.steps import months_of
from tags.charts.days import StackedDays, stack_days
from tags.log_form import DAYS_MAX
from tags.pages.page import Page
from tags.pages.tag_page import named_address
from tags.report_form import DIMENSION_NAMES, MEASURES, ReportForm
from tags.report_table import OTHER, SHOWN, Line, ReportTable, lay_out, name_of
from tags.streams import stream_answer

BARS_MAX = 12
MONEY = ("cost", "average")
TOO_MANY = "That is too many lines to add up. Take a shorter range, or a coarser dimension."


class ReportQuestion(Page):
    seen_by = ("spend.view_rollup",)
    most = Most()  # every row and column

    @cached_property
    def form(self) -> ReportForm:
        return ReportForm(self.request.GET)

    @cached_property
    def ranges(self) -> tuple[Range, Range, str]:
        return self.form.ranges(self.now, settings.REPORT_TIME_ZONE)

    @property
    def covered(self) -> Range:
        return self.ranges[0]

    @cached_property
    def days(self) -> tuple[date, date]:
        """Both included."""
        return days_of(self.covered, settings.REPORT_TIME_ZONE)

    @cached_property
    def found(self) -> Pivot:
        """Of a form that is right. Raises TooManyLines."""
        asked = self.form.cleaned_data
        return read_pivot(
            self.form.scope(self.covered),
            asked["rows"],
            self.form.column,
            measure=asked["measure"],
            most=self.most,
        )


class ReportsPage(ReportQuestion):
    title = "Reports"
    template_name = "tags/reports.html"
    fragments = {"report": "tags/_report.html"}
    most = SHOWN

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not self.form.is_valid():
            return self.show(status=422, form=self.form)
        try:
            return self.show(**self._found())
        except TooManyLines:
            return self.show(form=self.form, too_many=TOO_MANY)

    def _found(self) -> dict[str, Any]:
        asked, column = self.form.cleaned_data, self.form.column
        row, measure = asked["rows"], asked["measure"]
        first, last = self.days
        table = lay_out(self.found, row, column, measure, before=self._before())
        return {
            "form": self.form,
            "table": table,
            "lines": [self._shown(line, table) for line in table.lines],
            "row_name": DIMENSION_NAMES[row],
            "column_name": DIMENSION_NAMES.get(column or "", ""),
            "measure_name": MEASURES[measure],
            "is_money": measure in MONEY,
            "is_fine": measure == "average",
            "before_text": self.ranges[2],
            "is_compared": row not in TIMES,
            "overlaps": row in SEVERAL or column in SEVERAL,
            "first": first,
            "last": last,
            "chart": self._chart(first, last),
            "bars": self._bars(table),
            "months": months_of(first, last) if (last - first).days >= DAYS_MAX else [],
            "versions": VERSIONS,
        }

    def _before(self) -> Mapping[Value, Any] | None:
        row = self.form.cleaned_data["rows"]
        if row in TIMES:
            return None
        measure = self.form.cleaned_data["measure"]
        return read_pivot(self.form.scope(self.ranges[1]), row, None, measure=measure).rows

    def _shown(self, line: Line, table: ReportTable) -> dict[str, Any]:
        """A line with the calls behind each of its numbers."""
        row, column = self.form.cleaned_data["rows"], self.form.column
        own = None if line.is_other else self._calls(row, line.value)
        cells = []
        for (value, name), cell in zip(table.columns, line.cells, strict=True):
            more = None if name == OTHER and value is None else self._calls(column or "", value)
            is_known = own is not None and more is not None and cell
            cells.append((cell, self._logs({**(own or {}), **(more or {})}) if is_known else ""))
        return {
            "line": line,
            "cells": cells,
            "address": "" if line.is_other else self._about(row, line),
            "total_address": self._logs(own) if own is not None and line.total else "",
        }

    def _about(self, row: str, line: Line) -> str:
        if row == "tag":
            return named_address(str(line.value))
        if row == "prefix":
            return f"{reverse('tags')}?{urlencode({'prefix': line.value})}"
        return ""

    def _calls(self, dimension: str, value: Value) -> dict[str, Any] | None:
        """The filter of the log that says the same, if there is one."""
        match dimension, value:
            case "tag" | "model", str():
                return {dimension: value}
            case "key", _:
                alias = self.found.aliases.get(value)
                return {"key": alias} if alias else None
            case (("day" | "week" | "month"), date()):
                return _clipped(value, dimension, self.days)
        return None

    @cached_property
    def _logs_address(self) -> str:
        return reverse("logs")

    def _logs(self, asked: Mapping[str, Any]) -> str:
        """Nothing where the days are more than the log shows at once."""
        given = self.form.cleaned_data
        first, last = self.days
        narrowed = {name: given[name] for name in ("tag", "key", "model") if given[name]}
        query = {"first": first, "last": last, **narrowed, **asked}
        if given["measure"] in ("failed", "refused"):
            query["status"] = "failure" if given["measure"] == "failed" else "refused"
        if (query["last"] - query["first"]).days >= DAYS_MAX:
            return ""
        return f"{self._logs_address}?{urlencode(query)}"

    def _chart(self, first: date, last: date) -> StackedDays | None:
        """Days against what a call has one of, in dollars: these can be stacked."""
        row, column = self.form.cleaned_data["rows"], self.form.column
        names = {row, column or ""}
        if self.form.cleaned_data["measure"] != "cost" or "day" not in names:
            return None
        (other,) = names - {"day"} or {""}
        if other not in ("key", "model") or not self.found.cells:
            return None
        costs: dict[date, dict[str, int]] = {}
        for (r, c), sums in self.found.cells.items():
            day, value = (r, c) if row == "day" else (c, r)
            name = name_of(value, other, self.found.aliases)
            parts = costs.setdefault(day, {})  # type: ignore[arg-type]
            parts[name] = parts.get(name, 0) + sums.cost
        return stack_days(costs, max(first, min(costs)), last, link=self._day)

    def _day(self, day: date, until: date) -> str:
        return self._logs({"first": day, "last": until})

    def _bars(self, table: ReportTable) -> list[tuple[str, int, str, str]]:
        """The largest rows, where there is no chart of days."""
        row = self.form.cleaned_data["rows"]
        if self.form.cleaned_data["measure"] != "cost":
            return []
        lines = table.lines[-BARS_MAX:] if row in TIMES else table.lines[:BARS_MAX]
        return [(line.name, line.total or 0, self._about(row, line), "") for line in lines]


class ReportExport(ReportQuestion):
    """The whole table as CSV: every row and column, dollars with nine decimals."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not self.form.is_valid():
            return _refused(self.form)
        asked, column = self.form.cleaned_data, self.form.column
        row, measure = asked["rows"], asked["measure"]
        try:
            table = lay_out(self.found, row, column, measure)
        except TooManyLines:
            return HttpResponse(TOO_MANY, status=422, content_type="text/plain; charset=utf-8")
        text = _money if measure in MONEY else _count
        head = [row, *(inert(name) for _, name in table.columns), "total"]
        first, last = self.days
        lines = [_cells(line, text) for line in (*table.lines, *table.footer)]
        name = f"{measure}-by-{row}{f'-and-{column}' if column else ''}-{first}-{last}.csv"
        return HttpResponse(
            csv_text([head, *lines]),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )


class FocusExport(ReportQuestion):
    """The ledger of these days as a FOCUS bill, written while it is sent."""

    is_streamed = True

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not self.form.is_valid():
            return _refused(self.form)
        asked = request.GET.get("version")
        version = asked if asked in VERSIONS else VERSIONS[0]
        first, last = self.days
        if (last - first).days >= DAYS_MAX:
            text = f"A bill is of {DAYS_MAX} days at most: take it month by month."
            return HttpResponse(text, status=422, content_type="text/plain; charset=utf-8")
        return stream_answer(
            request,
            focus_lines(read_charges(self.covered), version),
            content_type="text/csv; charset=utf-8",
            filename=f"focus-{version}-{first}-{last}.csv",
        )


def _refused(form: ReportForm) -> HttpResponse:
    (text, *_) = (str(error) for errors in form.errors.values() for error in errors)
    return HttpResponse(text, status=422, content_type="text/plain; charset=utf-8")


def _cells(line: Line, text: Callable[[int | None], str]) -> list[str]:
    return [inert(line.name), *map(text, line.cells), text(line.total)]


def _money(nanos: int | None) -> str:
    return "" if nanos is None else dollars_text(nanos, decimals_min=9)


def _count(number: int | None) -> str:
    return "" if number is None else str(number)


def _clipped(start: date, dimension: str, bounds: tuple[date, date]) -> dict[str, date]:
    """The days of a day, week or month that are in the range."""
    end = start
    if dimension == "week":
        end = start + 6 * DAY
    elif dimension == "month":
        end = (start + 31 * DAY).replace(day=1) - DAY
    return {"first": max(start, bounds[0]), "last": min(end, bounds[1])}
