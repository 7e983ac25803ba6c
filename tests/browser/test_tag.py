"""One tag in a browser: made, watched, refused, raised, explained, deleted."""

import re

import pytest
from playwright.sync_api import expect


def save(page):
    page.locator("#save").click()


def make_tag(page, name, **fields):
    page.goto("/tags/new/")
    page.get_by_label("Name", exact=True).fill(name)
    for label, value in fields.items():
        page.get_by_label(label.replace("_", " "), exact=True).fill(value)
    save(page)
    expect(page.locator("#page-title")).to_have_text(name)


def tag_id(site, name):
    ((found,),) = site.rows("select id from tags_tag where name = %s", name)
    return found


def test_it_tests_a_budget_against_the_past_while_it_is_typed(page, site, look):
    counts = "select (select count(*) from spend_budget), (select count(*) from spend_audit)"
    before = site.rows(counts)
    page.goto("/tags/new/")
    page.get_by_label("Name", exact=True).fill("platform")
    page.get_by_label("Limit in USD", exact=True).fill("1")
    preview = page.locator("#preview")

    expect(page.locator("#named")).to_contain_text("There is a tag of this name")
    expect(preview).to_contain_text("would have been refused")
    ran_out = preview.locator(".bad-text").last.inner_text()
    page.get_by_label("Limit in USD", exact=True).fill("2")
    page.get_by_label("Soft limit in USD").focus()
    expect(preview.locator(".bad-text").last).not_to_have_text(ran_out)
    page.get_by_label("Per", exact=True).select_option("other")
    page.get_by_label("Other length").fill("59m")
    page.get_by_label("Time zone").focus()
    expect(preview).to_contain_text("too short to test")
    page.get_by_label("Only warn").check()
    expect(page.get_by_label("Limit in USD", exact=True)).to_be_hidden()
    assert site.rows(counts) == before
    page.get_by_label("Per", exact=True).select_option("monthly")
    page.get_by_label("Soft limit in USD").fill("1")
    expect(preview).to_contain_text("You are told at $1.00")
    look(page, "tag-new")


def test_it_says_what_is_wrong_and_puts_the_cursor_there(page, complaints):
    complaints.expect("422")
    page.goto("/tags/new/")
    page.get_by_label("Name", exact=True).fill("wrong")
    page.get_by_label("Limit in USD", exact=True).fill("abc")
    page.keyboard.press("Enter")

    expect(page.locator("#id_limit")).to_be_focused()
    expect(page.locator("#id_limit")).to_have_attribute("aria-invalid", "true")
    page.get_by_role("link", name=re.compile("Limit: Enter dollars")).click()
    page.locator("#id_limit").fill("5")
    page.keyboard.press("Enter")
    expect(page.locator("#page-title")).to_have_text("wrong")


def test_it_deletes_only_what_was_typed_and_gives_the_focus_back(page, site):
    make_tag(page, "brief")
    for close in (True, False):
        page.locator("summary", has_text="More").click()
        page.get_by_role("link", name="Delete").click()
        dialog = page.get_by_role("dialog")
        button = dialog.get_by_role("button", name="Delete")
        dialog.get_by_label("Name of the tag").press_sequentially("brie")
        expect(button).to_be_disabled()
        if close:
            page.keyboard.press("Escape")
            expect(dialog).to_have_count(0)
    dialog.get_by_label("Name of the tag").press_sequentially("f")
    button.click()

    expect(page.locator(".messagelist")).to_contain_text("brief is deleted.")
    assert site.rows("select 1 from tags_tag where name = 'brief'") == []


def test_it_works_without_scripts(visit, site):
    page = visit(javascript=False)
    page.goto("/tags/new/?name=plain")
    page.get_by_label("Limit in USD", exact=True).fill("5")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview")).to_contain_text("plain has no calls yet")
    page.get_by_role("button", name="Add a daily").click()
    page.locator("#id_further-0-limit").fill("1")
    save(page)
    expect(page.locator(".budget-list li")).to_have_count(2)

    page.get_by_role("link", name="Raise this window").click()
    page.get_by_label("own: daily").check()
    page.get_by_role("button", name="Raise").click()
    expect(page.locator(".messagelist")).to_contain_text("$1.10 until")
    page.get_by_role("link", name="Block").click()
    page.get_by_role("button", name="Block").click()
    expect(page.locator(".page-title")).to_contain_text("Blocked")
    page.get_by_label("Range").select_option("7d")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile("range=7d"))
    page.goto(f"/tags/{tag_id(site, 'plain')}/delete/")
    page.get_by_label("Name of the tag").fill("plain")
    page.get_by_role("button", name="Delete").click()
    expect(page.locator(".messagelist")).to_contain_text("plain is deleted.")


def test_it_changes_the_range_in_place(page, site):
    page.goto(f"/tags/{tag_id(site, 'support')}/")
    page.get_by_label("Range").select_option("today")
    page.get_by_label("Days by").select_option("key")

    expect(page.locator("#figures")).to_contain_text("Daily cost by key")
    expect(page.locator("#figures")).to_contain_text("against yesterday")
    expect(page).to_have_url(re.compile("range=today&by=key"))
    page.reload()
    expect(page.get_by_label("Days by")).to_have_value("key")


def test_it_looks_good(page, site, look):
    page.goto(f"/tags/{tag_id(site, 'support')}/")
    look(page, "tag", widths=(320,))
    page.goto(f"/tags/{tag_id(site, 'support')}/edit/")
    look(page, "tag-edit", widths=(320,))


@pytest.mark.slow
def test_all_of_it_looks_good(page, site, look):
    marketing, support = tag_id(site, "marketing"), tag_id(site, "support")
    for name, address in {
        "tag-over": f"/tags/{marketing}/",
        "tag-breakdown": f"/tags/{support}/breakdown/",
        "tag-logs": f"/tags/{support}/logs/",
        "tag-history": f"/tags/{support}/history/",
        "tag-seen": "/tags/named/?name=eu",
        "tag-raise": f"/tags/{support}/raise/",
        "tag-reset": f"/tags/{support}/reset/",
        "tag-delete": f"/tags/{support}/delete/",
    }.items():
        page.goto(address)
        look(page, name, widths=(320,))
    page.goto(f"/tags/{support}/")
    page.get_by_role("link", name="Raise this window").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    look(page, "tag-raise-dialog")
