"""Tag Management in a browser: what a FinOps person does there in the morning."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.site import PASSWORD, USERNAME


def row_of(page, name):
    return page.locator(
        "table.roster tbody tr", has=page.get_by_role("link", name=name, exact=True)
    )


def test_it_shows_how_every_tag_stands(page, look):
    page.goto("/tags/")

    expect(page.locator("#page-title")).to_have_text("Tag Management")
    expect(row_of(page, "marketing")).to_contain_text("Over budget")
    expect(row_of(page, "eu")).to_contain_text("Seen in traffic")
    expect(page.locator("table.roster tfoot")).to_contain_text("counted more than once \u2212$")
    look(page, "tags", widths=(320,))


def test_it_filters_as_one_types(page, look):
    page.goto("/tags/")
    page.get_by_label("Search name").fill("atlas")

    expect(page.locator("table.roster tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"/tags/\?q=atlas$"))
    page.reload()
    expect(page.get_by_label("Search name")).to_have_value("atlas")
    expect(page.locator("table.roster tbody tr")).to_have_count(1)
    page.get_by_label("Search name").fill("serach")
    expect(page.locator(".empty")).to_contain_text("No tag matches 'serach'.")
    look(page, "tags-no-match")
    page.go_back()
    expect(page.locator("table.roster tbody tr")).to_have_count(1)
    expect(page.locator("h1")).to_have_count(1)


@pytest.mark.parametrize("javascript", [True, False])
def test_it_filters_by_links_and_forms(visit, javascript):
    page = visit(javascript=javascript)
    page.goto("/tags/")
    page.locator("#chip-over").click()

    rows = page.locator("table.roster tbody tr")
    expect(rows.filter(has_not_text="Over budget")).to_have_count(0)
    expect(row_of(page, "marketing")).to_be_visible()
    expect(page.locator("#chip-over")).to_have_attribute("aria-current", "true")
    page.locator("#chip-all").click()
    page.get_by_label("Sort by").select_option("name")
    if not javascript:
        page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator("table.roster tbody tr").first).to_contain_text("customer-acme")
    expect(page).to_have_url(re.compile(r"sort=name"))
    page.locator("#sort-spend").click()
    expect(page.locator("th[aria-sort]")).to_have_text("Month to date")
    expect(page.get_by_label("Sort by")).to_have_value("spend")


def test_it_edits_a_limit_where_it_stands(page, site, complaints, look):
    complaints.expect("409|422")
    page.goto("/tags/")
    row_of(page, "demo").get_by_label("Edit the limit").click()
    field = page.get_by_label("Limit of demo in US dollars")
    expect(field).to_be_focused()
    field.press("Escape")
    expect(row_of(page, "demo")).to_contain_text("of $10.00")

    row_of(page, "demo").get_by_label("Edit the limit").click()
    field.fill("abc")
    field.press("Enter")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    field.fill("0.000001")
    field.press("Enter")
    expect(row_of(page, "demo")).to_contain_text("is already spent")
    field.fill("60")
    field.press("Enter")

    expect(row_of(page, "demo")).to_contain_text("of $60.00")
    expect(page.locator("#toasts")).to_contain_text("Limit of demo: $60.00, before $10.00.")
    own = """select b."limit" from spend_budget b join tags_tag t on t.budget_id = b.id
             where t.name = 'demo'"""
    assert site.rows(own) == [(60 * 10**9,)]

    row_of(page, "demo").get_by_label("Edit the limit").click()
    expect(field).to_be_focused()
    site.rows("update tags_tag set updated_at = now() where name = 'demo'")
    field.fill("70")
    field.press("Enter")
    expect(row_of(page, "demo")).to_contain_text("Which one stays?")
    page.get_by_role("button", name="Set mine").click()
    expect(row_of(page, "demo")).to_contain_text("of $70.00")
    row_of(page, "demo").get_by_label("Edit the limit").click()
    field.fill("abc")
    field.press("Enter")
    expect(field).to_have_attribute("aria-invalid", "true")
    look(page, "tags-edit")


def test_it_adopts_with_one_click(page, site):
    page.goto("/tags/?status=seen")
    seen = int(page.locator("#chip-seen b").inner_text())
    page.get_by_label("Adopt project-beacon").click()

    expect(page.locator("#chip-seen b")).to_have_text(str(seen - 1))
    expect(page.locator("#toasts")).to_contain_text("project-beacon is now a tag.")
    page.locator("#chip-all").click()
    expect(row_of(page, "project-beacon")).to_contain_text("set a limit")
    page.goto("/tags/?q=beacon")
    expect(row_of(page, "project-beacon")).to_contain_text("Tracked")


def test_it_blocks_in_a_dialog_and_unblocks(page, site):
    page.goto("/tags/?q=atlas")
    row_of(page, "project-atlas").get_by_label("Actions for").click()
    page.get_by_role("link", name="Block…").click()
    expect(page.get_by_role("dialog")).to_contain_text("refused from now on")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    row_of(page, "project-atlas").get_by_label("Actions for").click()
    page.get_by_role("link", name="Block…").click()
    page.get_by_role("dialog").get_by_role("button", name="Block").click()

    expect(row_of(page, "project-atlas")).to_contain_text("Blocked")
    expect(page).to_have_url(re.compile(r"/tags/\?q=atlas"))
    row_of(page, "project-atlas").get_by_label("Actions for").click()
    page.get_by_role("link", name="Unblock…").click()
    page.get_by_role("dialog").get_by_role("button", name="Unblock").click()
    expect(row_of(page, "project-atlas")).to_contain_text("At risk")


def test_it_changes_several_or_none(page, site, complaints, look):
    complaints.expect("422")
    page.goto("/tags/?sort=name")
    for name in ("customer-acme", "support"):
        page.get_by_label(f"Select {name}").check()
    expect(page.locator("[data-picked]")).to_have_text("2 selected")
    page.get_by_role("button", name="Raise", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("2 tags")
    dialog.get_by_role("button", name="Raise").click()
    expect(dialog).to_contain_text("Nothing has changed. customer-acme: has no limit to raise")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Set budget").click()
    dialog.get_by_label("Limit in US dollars").fill("33")
    dialog.get_by_role("button", name="Set budget").click()

    expect(row_of(page, "customer-acme")).to_contain_text("of $33.00")
    page.get_by_label("Select support").check()
    page.get_by_role("button", name="Raise", exact=True).click()
    expect(dialog).to_contain_text("1 tag")
    look(page, "tags-bulk")
    assert (
        site.rows(
            "select count(*) from spend_audit where action = 'change' and name = 'customer-acme'"
        )[0][0]
        >= 1
    )


def test_it_follows_the_traffic(page, site):
    page.clock.install()
    page.goto("/tags/?q=only-in-traffic")
    expect(page.locator(".empty")).to_be_visible()
    page.get_by_label("Search name").blur()

    assert site.spend("only-in-traffic") == [200]
    page.clock.run_for(7_000)

    expect(row_of(page, "only-in-traffic")).to_contain_text("Seen in traffic", timeout=20_000)


def test_it_is_used_by_keyboard_alone_and_never_loses_the_focus(page, site):
    page.clock.install()
    press = page.keyboard.press
    page.goto("/tags/")
    page.get_by_label("Search name").focus()
    page.keyboard.type("platform")
    expect(page).to_have_url(re.compile(r"q=platform$"))
    edit = row_of(page, "platform").get_by_label("Edit the limit")
    edit.focus()
    press("Enter")
    field = page.get_by_label("Limit of platform in US dollars")
    expect(field).to_be_focused()
    page.keyboard.type("9")
    page.clock.run_for(7_000)
    expect(field).to_have_value("9")
    press("Escape")
    expect(edit).to_be_focused()
    press("Enter")
    expect(field).to_be_focused()
    page.keyboard.type("26")
    press("Enter")
    expect(row_of(page, "platform")).to_contain_text("of $26.00")
    expect(edit).to_be_focused()
    with page.expect_response("**/tags/?q=platform**"):
        page.clock.run_for(7_000)
    expect(edit).to_be_focused()

    menu = row_of(page, "platform").get_by_label("Actions for")
    press("Tab")
    press("Tab")
    expect(menu).to_be_focused()
    press("Enter")
    press("Tab")
    press("Tab")
    expect(page.get_by_role("link", name="Raise this window…")).to_be_focused()
    press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(menu).to_be_focused()

    box = page.get_by_label("Select platform")
    box.focus()
    press("Space")
    block = page.get_by_role("button", name="Block", exact=True)
    block.focus()
    press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("Block: 1 tag")
    press("Escape")
    expect(block).to_be_focused()
    page.locator("#chip-ok").focus()
    press("Enter")
    expect(page.locator("#chip-ok")).to_have_attribute("aria-current", "true")
    expect(page.locator("#chip-ok")).to_be_focused()


def test_it_copies_a_call_and_says_so_where_it_can_be_read(visit):
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    page.goto("/tags/?q=support")
    row_of(page, "support").get_by_label("Actions for").click()
    page.get_by_role("link", name="Copy curl…").click()
    page.get_by_role("button", name="Copy curl").click()

    expect(page.get_by_role("dialog").get_by_role("status")).to_contain_text("Copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("curl ")
    assert '"tags": ["support"]' in copied


def test_it_works_without_scripts(visit, site):
    site.spend("no-scripts")
    page = visit(javascript=False)
    page.goto("/tags/?q=research")
    page.get_by_label("Edit the limit of research").click()
    page.get_by_label("Limit of research").fill("4.5")
    page.get_by_role("button", name="Save").click()

    expect(page.locator(".messagelist")).to_contain_text("Limit of research: $4.50")
    expect(row_of(page, "research")).to_contain_text("of $4.50")
    page.get_by_label("Adopt no-scripts").click()
    expect(page.locator(".messagelist")).to_contain_text("no-scripts is now a tag.")
    for act in ("Block", "Unblock"):
        for name in ("no-scripts", "research"):
            page.get_by_label(f"Select {name}").check()
        page.get_by_role("button", name=act, exact=True).click()
        expect(page.locator("h1")).to_have_text("Change several tags")
        page.get_by_role("button", name=act, exact=True).click()
        expect(page.locator(".messagelist")).to_contain_text(f"{act}: 2 tags.")
    expect(row_of(page, "no-scripts")).to_contain_text("Tracked")


def test_a_part_that_fails_leaves_what_was_there_and_may_be_tried_again(page, complaints):
    complaints.expect("500|Response Status Error Code")
    page.goto("/tags/")
    page.route("**/tags/?q=*", lambda route: route.fulfill(status=500, body="broken"))
    page.get_by_label("Search name").fill("atlas")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("This part could not be loaded.")
    expect(row_of(page, "marketing")).to_be_visible()
    page.unroute("**/tags/?q=*")
    alert.get_by_role("button", name="Try again").click()

    expect(page.locator("table.roster tbody tr")).to_have_count(1)
    expect(alert).to_have_count(0)

    page.goto("/tags/")
    width = row_of(page, "marketing").locator("th").bounding_box()["width"]
    row_of(page, "marketing").get_by_label("Edit the limit").click()
    field = page.get_by_label("Limit of marketing in US dollars")
    field.fill("7")
    page.route(re.compile("/limit/"), lambda route: route.fulfill(status=500, body="broken"))
    field.press("Enter")
    expect(alert).to_contain_text("That was not saved.")
    assert row_of(page, "marketing").locator("th").bounding_box()["width"] > width / 2
    page.unroute(re.compile("/limit/"))


def test_a_session_that_is_over_leads_to_the_login_and_back(page):
    page.goto("/tags/?sort=name")
    page.context.clear_cookies()
    page.locator("#chip-over").click()

    page.get_by_label("Username").fill(USERNAME)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(re.compile(r"/tags/\?sort=name$"))


def test_who_may_only_look_changes_nothing(visit, log_in, complaints):
    page = visit(user=log_in("FinOps viewer"))
    page.goto("/tags/")

    expect(row_of(page, "marketing")).to_be_visible()
    for what in ("Create New Tag", "Adopt", "Edit the limit", "Select "):
        expect(page.get_by_label(what).or_(page.get_by_text(what, exact=True))).to_have_count(0)


def test_an_owner_sees_his_own(visit, log_in, site):
    owner = log_in(username="olga")
    site.rows("""insert into tags_tag_owners (tag_id, user_id)
                 select t.id, u.id from tags_tag t, auth_user u
                  where t.name = 'platform' and u.username = 'olga'""")
    page = visit(user=owner)
    page.goto("/tags/")

    expect(page.locator("table.roster tbody tr")).to_have_count(1)
    expect(row_of(page, "platform")).to_be_visible()
    expect(page.locator(".lead")).to_have_count(0)
