"""Try it in a browser: checked, sent, refused; its row, the budgets and the page agree."""

import re

from playwright.sync_api import expect


def test_it_checks_sends_and_tells(page, site, look):
    count = "select count(*) from spend_spendlog"
    page.goto("/try/?tag=platform")
    page.get_by_label("As key").select_option("demo")
    before = site.rows(count)
    page.get_by_role("button", name="Check only").click()
    expect(page.locator("#checked-title")).to_be_visible()
    expect(page.locator("#tried")).to_contain_text("platform (you), demo (key default)")
    assert site.rows(count) == before

    page.get_by_role("button", name="Send: a real call").click()
    expect(page.locator("#answer-title")).to_contain_text("Answer 200")
    look(page, "try", widths=(320,))
    cost = page.locator("section[aria-labelledby=answer-title] b data").get_attribute("value")
    page.get_by_role("link", name="Open its log").click()
    expect(page.locator("main")).to_contain_text("ana")
    ((told, key, nanos),) = site.rows(
        "select end_user, key_alias, cost from spend_spendlog order by id desc limit 1"
    )
    assert (told, key, nanos) == ("ana", "demo", round(float(cost) * 10**9))


def test_a_refusal_looks_as_a_client_gets_it_and_streams_are_read(page):
    page.goto("/try/")
    page.get_by_label("As key").select_option("demo")
    page.get_by_label("As a stream").check()
    page.get_by_role("button", name="Send: a real call").click()
    expect(page.locator("#answer-title")).to_contain_text("Answer 200")
    expect(page.locator(".said")).not_to_contain_text("it said nothing")

    page.get_by_label("Tags, between commas").fill("tiny-try")
    page.goto("/tags/new/?name=tiny-try")
    page.get_by_label("Limit in USD", exact=True).fill("0")
    page.locator("#save").click()
    expect(page.locator("#page-title")).to_have_text("tiny-try")
    page.goto("/try/?tag=tiny-try")
    page.get_by_label("As key").select_option("demo")
    page.get_by_role("button", name="Send: a real call").click()
    expect(page.locator("#answer-title")).to_contain_text(re.compile("Refused 4"))
    expect(page.locator("#tried")).to_contain_text("budget_exceeded")
    expect(page.locator("#tried")).to_contain_text("has no room for it")


def test_it_works_without_scripts(visit):
    page = visit(javascript=False)
    page.goto("/try/")
    page.get_by_role("button", name="Check only").click()
    expect(page.locator("#checked-title")).to_be_visible()
