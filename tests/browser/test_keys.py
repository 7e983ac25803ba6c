"""Keys in a browser: made, the secret copied once, tried, blocked, renewed, deleted."""

import json
import re
import urllib.error
import urllib.request

from playwright.sync_api import expect


def call_with(site, secret):
    """The status of a call with that secret."""
    body = {"model": "demo-fast", "messages": [{"role": "user", "content": "Hello"}]}
    request = urllib.request.Request(
        f"{site.url}/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {secret}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as refusal:
        return refusal.code


def test_its_life(page, site, look):
    page.goto("/keys/")
    look(page, "keys", widths=(320,))
    page.get_by_role("link", name="Create New Key").click()
    page.get_by_label("Alias", exact=True).fill("page-key")
    page.get_by_label("Tags it adds to every call").fill("team:search")
    page.get_by_label("Tags that a client may add").select_option("listed")
    page.get_by_label("Globs, if only some").fill("team:*")
    page.get_by_label("Limit in USD", exact=True).fill("5")
    page.get_by_label("Try these rules").fill("team:a\nenv:b")
    expect(page.locator("#preview")).to_contain_text("refused env:b")
    look(page, "key-new")
    page.locator("#save").click()

    secret = page.locator("#secret").input_value()
    assert re.fullmatch(r"sk-[\w-]{43}", secret)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy", exact=True).click()
    assert page.evaluate("navigator.clipboard.readText()") == secret
    look(page, "key-created")
    assert page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])").find("sk-") < 0
    assert call_with(site, secret) == 200

    page.get_by_role("link", name="I have stored it").click()
    assert secret not in page.content()
    expect(page.locator("#figures")).to_contain_text("team:search")
    look(page, "key", widths=(320,))

    page.get_by_role("link", name="Block").click()
    page.get_by_role("dialog").get_by_role("button", name="Block").click()
    expect(page.locator(".page-title")).to_contain_text("Blocked")
    page.get_by_role("link", name="Unblock").click()
    page.get_by_role("dialog").get_by_role("button", name="Unblock").click()
    expect(page.locator(".messagelist")).to_contain_text("admitted again")

    page.get_by_role("link", name="New secret").click()
    page.get_by_role("dialog").get_by_label("after one hour").check()
    page.get_by_role("dialog").get_by_role("button", name="Make a new secret").click()
    renewed = page.locator("#secret").input_value()
    assert renewed != secret
    assert [call_with(site, secret), call_with(site, renewed)] == [200, 200]

    page.get_by_role("link", name="I have stored it").click()
    page.locator("summary", has_text="More").click()
    page.get_by_role("link", name="Delete").click()
    button = page.get_by_role("dialog").get_by_role("button", name="Delete")
    expect(button).to_be_disabled()
    page.get_by_role("dialog").get_by_label("Name of the key").fill("page-key")
    button.click()
    expect(page.locator(".messagelist")).to_contain_text("stops within a second")
    page.get_by_label("Search").fill("page-key")
    expect(page.locator("#keys")).to_contain_text("No key matches 'page-key'")


def test_it_works_without_scripts(visit, complaints):
    complaints.expect("422")
    page = visit(javascript=False)
    page.goto("/keys/new/")
    page.get_by_label("Alias", exact=True).fill("plain-key")
    page.get_by_label("Limit in USD", exact=True).fill("abc")
    page.locator("#save").click()
    expect(page.get_by_role("alert")).to_contain_text("Enter dollars")
    page.get_by_label("Limit in USD", exact=True).fill("1")
    page.get_by_role("button", name="Add a daily").click()
    page.locator("#id_further-0-limit").fill("0.5")
    page.locator("#save").click()
    expect(page.locator("#secret")).to_be_visible()
    page.get_by_role("link", name="I have stored it").click()
    expect(page.locator(".budget-list li")).to_have_count(2)
    page.get_by_role("link", name="Block").click()
    page.get_by_role("button", name="Block").click()
    expect(page.locator(".page-title")).to_contain_text("Blocked")
