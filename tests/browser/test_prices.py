"""Models and prices in a browser: added, priced against the past, tried, deleted."""

from playwright.sync_api import expect


def test_its_life(page, site, look):
    ((address, secret),) = site.rows(
        "select address, coalesce(secret_ending, '') from proxy_upstream limit 1"
    )
    page.goto("/prices/")
    look(page, "prices", widths=(320,))
    page.get_by_role("link", name="Add a model").click()
    page.get_by_label("Name", exact=True).fill("browser-model")
    page.get_by_label("Its name at the upstream").fill("demo-fast")
    page.get_by_label("Address").fill(address)
    look(page, "price-new")
    page.locator("#save").click()
    expect(page.locator(".page-title")).to_contain_text("No price: calls are refused")

    page.get_by_role("link", name="Set its price").click()
    page.get_by_label("Input", exact=True).fill("2.50")
    page.get_by_label("Output", exact=True).fill("10")
    expect(page.locator("#preview")).to_contain_text("instead of $0.00")
    look(page, "price-set")
    page.locator("#save").click()
    expect(page.locator(".page-title")).to_contain_text("Ready")
    expect(page.locator("main")).to_contain_text("$2.50 per 1M tokens")

    page.get_by_role("link", name="Test call").click()
    page.get_by_label("As key").select_option("demo")
    page.get_by_role("button", name="Send: a real call").click()
    expect(page.locator("#answer-title")).to_contain_text("Answer 200")
    page.go_back()
    page.reload()
    look(page, "price", widths=(320,))

    page.get_by_role("button", name="Disable").click()
    expect(page.locator(".page-title")).to_contain_text("Disabled")
    page.locator("summary", has_text="More").click()
    page.get_by_role("link", name="Delete").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Delete")).to_be_disabled()
    dialog.get_by_label("Name of the model").fill("browser-model")
    dialog.get_by_role("button", name="Delete").click()
    expect(page.locator(".messagelist")).to_contain_text("browser-model is deleted.")
    assert secret is not None
