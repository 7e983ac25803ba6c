"""Logs in a browser: filters, pages, one call, the file; with scripts and without."""

import re
import time

import pytest
from playwright.sync_api import expect


def rows(page):
    return page.locator("#log tbody tr")


def spend_logged(site, *tags):
    """A call that the log has, too, which is a moment later."""
    site.spend(*tags)
    query = """select 1 from spend_spendlog join spend_tagset s on s.id = tag_set_id
                where %s = any(s.tags)"""
    while not site.rows(query, tags[0]):
        time.sleep(0.02)


def test_it_filters_in_place_and_keeps_it_in_the_address(page, site, complaints):
    spend_logged(site, "logs:one", "logs:two")
    page.goto("/logs/")
    expect(rows(page).first).to_contain_text("logs:one")
    page.get_by_label("And the tag").fill("logs:two")
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(1)
    expect(page).to_have_url(re.compile(r"/logs/\?tag=logs%3Atwo$"))
    page.get_by_label("Model", exact=True).fill("nobody-has-it")
    page.keyboard.press("Enter")
    expect(page.locator("#log .empty")).to_contain_text("Without the model there are some")
    expect(page.get_by_label("Model", exact=True)).to_be_focused()
    page.get_by_role("link", name="Without the model there are some").click()
    expect(rows(page)).to_have_count(1)
    page.get_by_role("link", name="Without the tag logs:two").click()
    expect(page).to_have_url(re.compile(r"/logs/$"))
    page.go_back()
    expect(rows(page)).to_have_count(1)

    complaints.expect("422")
    page.locator(".more summary").click()
    page.get_by_label("Cost from, USD").fill("much")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Cost from, USD")).to_be_focused()
    expect(page.get_by_label("Cost from, USD")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#id_cost_min-error")).to_contain_text("Enter dollars, such as 0.10 or 2.")
    page.get_by_label("Cost from, USD").fill("")
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(1)


def test_it_turns_pages_and_shows_one_call(page, site):
    page.goto("/logs/?range=30d")
    first = rows(page).first.inner_text()
    page.get_by_role("link", name="Older").click()
    expect(rows(page).first).not_to_have_text(first)
    spend_logged(site, "logs:late")
    page.get_by_role("link", name="Newer").click()
    expect(page).to_have_url(re.compile("after="))
    assert rows(page).first.inner_text() == first

    page.goto("/logs/?tag=logs:late")
    rows(page).first.get_by_role("link").first.click()
    expect(page.locator("h1")).to_contain_text("Call ")
    expect(page.locator(".facts")).to_contain_text("logs:late")
    call_id = page.locator("#call-id").inner_text()
    ((cost,),) = site.rows("select cost from spend_spendlog where id = %s", call_id)
    assert f"${cost / 10**9:.9f}".rstrip("0") in page.locator("tfoot").inner_text()


def test_it_follows_traffic_when_asked_to(page, site):
    page.goto("/logs/")
    page.get_by_label("Refresh every 15 s").check()
    page.evaluate("htmx.trigger('#log', 'refresh')")
    spend_logged(site, "logs:live")
    page.evaluate("htmx.trigger('#log', 'refresh')")
    expect(rows(page).first).to_contain_text("logs:live")
    expect(page.get_by_label("Refresh every 15 s")).to_be_checked()


def test_it_works_without_scripts(visit, site):
    page = visit(javascript=False)
    page.goto("/logs/")
    page.get_by_label("Range").select_option("7d")
    page.get_by_label("And the tag").fill("support")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile("range=7d"))
    expect(rows(page).first).to_contain_text("support")
    page.get_by_role("link", name="Refused").click()
    expect(page).to_have_url(re.compile("status=refused"))
    expect(page).to_have_url(re.compile("tag=support"))
    with page.expect_download() as download:
        page.goto("/logs/?range=7d&tag=support")
        page.get_by_role("link", name="Export CSV").click()
    text = download.value.path().read_text()
    assert text.startswith("time,id,status")


def test_it_looks_good(page, look):
    page.goto("/logs/?range=30d")
    look(page, "logs", widths=(320,))
    rows(page).first.get_by_role("link").first.click()
    look(page, "log", widths=(320,))


@pytest.mark.slow
def test_all_of_it_looks_good(page, site, look):
    ((refused,),) = site.rows(
        "select id from spend_spendlog where status = 'refused' order by id desc limit 1"
    )
    for name, address in {
        "logs-empty": "/logs/?tag=nobody",
        "logs-filtered": "/logs/?range=30d&tag=support&cost_min=0.00001&status=success",
        "log-refused": f"/logs/{refused}/",
    }.items():
        page.goto(address)
        look(page, name)
