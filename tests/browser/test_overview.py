"""The Overview in a browser: looked at, followed to the calls, a budget raised in place."""

import re

import pytest
from playwright.sync_api import expect


def test_it_leads_to_the_calls_and_raises_in_place(page, site, look):
    page.goto("/tags/new/?name=overspent")  # what other tests look at stays as it is
    page.get_by_label("Limit in USD", exact=True).fill("0.000000001")
    page.locator("#save").click()
    expect(page.locator("#page-title")).to_have_text("overspent")
    site.spend("overspent")
    page.goto("/")
    expect(page.locator("#needy-title")).to_be_visible()
    look(page, "overview", widths=(320,))

    bar = page.locator(".chart-area a").last
    said = bar.get_attribute("aria-label")
    bar.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/logs/\?first=.*last="))
    expect(page.locator("#page-title")).to_have_text("Logs")
    assert said.split("$")[1].rstrip("0.") in page.locator("main").inner_text()

    page.go_back()
    page.get_by_role("link", name="Raise overspent").click()
    page.get_by_role("dialog").get_by_role("button", name="Raise").click()
    expect(page.locator(".messagelist")).to_contain_text("until")
    expect(page).to_have_url(re.compile(r"/$"))


def test_it_follows_the_traffic_until_it_is_told_not_to(page, site):
    page.clock.install()
    page.goto("/?range=today&by=key")
    calls = page.locator("a.tile", has_text="Calls").locator(".tile-figure data")
    before = int(calls.get_attribute("value"))
    site.spend("platform", calls=2)
    page.clock.run_for(16_000)
    expect(calls).to_have_attribute("value", str(before + 2))

    page.get_by_label("Refresh").uncheck()
    site.spend("platform")
    page.clock.run_for(40_000)
    expect(calls).to_have_attribute("value", str(before + 2))


@pytest.mark.slow
def test_an_owner_has_his_tags(visit, log_in, site, look):
    owner = log_in(username="olga")
    site.rows(
        """insert into tags_tag_owners (tag_id, user_id) select t.id, u.id from tags_tag t,
           auth_user u where t.name = 'support' and u.username = 'olga' on conflict do nothing"""
    )
    page = visit(user=owner)
    page.goto("/")
    expect(page.get_by_role("heading", name="support")).to_be_visible()
    look(page, "overview-owner")


def test_the_books_are_counted_and_shown(page, site, look):
    site.rows(
        """insert into spend_jobrun (job, started_at, finished_at, last_success_at, outcome)
           values ('reconcile', now(), now(), now(), %s) on conflict (job) do nothing""",
        '{"ok": true, "checked_at": "2026-11-25T10:00:00Z", "since": "2026-11-01T00:00:00Z",'
        ' "windows": 412, "windows_ok": 412, "rows": 5120, "reservations_open": 0, "overruns": 0,'
        ' "corrections": 0, "differences": [], "audit_head": null,'
        ' "counts": {"spent": 0, "reserved": 0, "rollup": 0, "strict_over_limit": 0}}',
    )
    page.goto("/books/")
    expect(page.locator("#verdict-title")).to_contain_text("412 windows agree")
    look(page, "books")
    page.goto("/admin/")
    page.locator("#content-main").get_by_role("link", name="Books").first.click()
    expect(page.locator("#page-title")).to_have_text("Books")
