"""Reports in a browser: asked in place, looked at, followed to the calls, taken as a file."""

import csv
import re

from playwright.sync_api import expect


def test_it_is_asked_in_place_and_adds_up(page, look, complaints):
    page.goto("/reports/")
    expect(page.locator("#report-title")).to_contain_text("Cost by tag and model")
    look(page, "reports", widths=(320,))
    bill = page.locator("tfoot tr").last.locator("td data").last.get_attribute("value")

    page.get_by_label("Rows").select_option("day")
    expect(page.locator("#chart-title")).to_be_visible()
    expect(page).to_have_url(re.compile("rows=day"))
    assert page.locator("tfoot tr td data").last.get_attribute("value") == bill
    look(page, "reports-days")

    with page.expect_download() as download:
        page.get_by_role("link", name="CSV", exact=True).click()
    lines = list(csv.reader(download.value.path().read_text().splitlines()))
    assert lines[-1][0] == "All calls"
    assert float(lines[-1][-1]) == float(bill)

    complaints.expect("422")
    page.locator("summary", has_text="Days and filters").click()
    page.get_by_label("From day").fill("2026-11-02")
    page.get_by_label("To day").fill("2026-11-01")
    expect(page.get_by_role("alert")).to_contain_text("before the first day")


def test_it_works_without_scripts_and_leads_to_the_calls(visit):
    page = visit(javascript=False)
    page.goto("/reports/?range=7d")
    page.get_by_label("Rows").select_option("model")
    page.get_by_label("Columns").select_option("none")
    page.get_by_role("button", name="Show").first.click()
    amount = page.locator("tbody td a data").first
    value = amount.get_attribute("value")
    amount.click()

    expect(page.locator("#page-title")).to_have_text("Logs")
    expect(page.locator(f'data[value="{value}"]').first).to_be_visible()
