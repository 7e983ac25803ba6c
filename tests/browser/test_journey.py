"""The journey: a tag gets a budget, calls use it up, are refused, and admitted after a raise.

Calls are sent by the OpenAI SDK; pages, the API's error and the database agree at each step.
"""

from decimal import Decimal

import openai
import pytest
from playwright.sync_api import expect

from tests.browser.test_roster import row_of

HELLO = [{"role": "user", "content": "Hello"}]
NAME = "journey"
NEXT_REFRESH = 20_000  # milliseconds; pages ask every five seconds


@pytest.fixture
def call(site):
    """A call with that tag; what it cost, in dollars."""
    with openai.OpenAI(api_key=site.key, base_url=f"{site.url}/v1", max_retries=0) as client:

        def called(tag: str) -> Decimal:
            answer = client.chat.completions.with_raw_response.create(
                model="demo-fast",
                messages=HELLO,
                max_tokens=20,
                extra_body={"metadata": {"tags": [tag]}},
            )
            return Decimal(answer.headers["x-litellm-response-cost"])

        yield called


def test_it_is_spent_refused_raised_and_admitted_again(page, visit, site, call):
    limit = call("warm-up") * Decimal("2.5")
    shown = visit()
    for tab in (page, shown):
        tab.clock.install()
    create(page, limit)
    watch(shown, site)
    page.goto(f"/tags/?q={NAME}")
    row = row_of(page, NAME)
    assert width_of(row) == 0

    costs = [call(NAME)]
    wait(page)
    expect(row.locator("rect.spent")).not_to_have_attribute("width", "0.0", timeout=NEXT_REFRESH)
    first = width_of(row)
    costs += [call(NAME), call(NAME)]
    with pytest.raises(openai.BadRequestError) as refusal:
        call(NAME)

    assert refusal.value.type == "budget_exceeded"
    wait(page, shown)
    expect(row).to_contain_text("Over budget", timeout=NEXT_REFRESH)
    assert 0 < first < width_of(row) == 100
    assert spent(site) == sum(costs) >= limit
    expect(shown.locator("#figures")).to_contain_text(
        f"Calls of {NAME} are refused until", timeout=NEXT_REFRESH
    )
    expect(shown.locator(".page-title")).to_contain_text("Over budget since")
    expect(shown.locator(".tile", has_text="Refused today")).to_contain_text("1 by this budget")

    raise_window(page, row)

    costs.append(call(NAME))
    wait(page)
    expect(row.locator("td.sums")).to_contain_text("4 calls", timeout=NEXT_REFRESH)
    expect(row).to_contain_text("On track")
    assert spent(site) == sum(costs)
    listed = row.locator("td.sums data").first.get_attribute("value")
    assert Decimal(listed) == sum(costs)
    find_in_the_log(shown, costs)


def create(page, limit):
    page.goto("/tags/")
    page.get_by_role("link", name="Create New Tag").click()
    page.get_by_label("Name", exact=True).fill(NAME)
    page.get_by_label("Limit in USD", exact=True).fill(f"{limit:f}")
    page.locator("#save").click()
    expect(page.locator("#page-title")).to_have_text(NAME)
    expect(page.locator("#figures")).to_contain_text(f"{NAME} has not been used yet.")


def watch(page, site):
    """The tag's own page, in another tab."""
    ((pk,),) = site.rows("select id from tags_tag where name = %s", NAME)
    page.goto(f"/tags/{pk}/")


def wait(*pages):
    """Until they ask the server again, by their own clocks."""
    for page in pages:
        page.clock.run_for(7_000)


def raise_window(page, row):
    row.get_by_label("Actions for").click()
    page.get_by_role("link", name="Raise this window").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("To an amount").check()
    dialog.get_by_label("Amount in USD").fill("5")
    dialog.get_by_role("button", name="Raise").click()
    expect(page.locator(".messagelist")).to_contain_text("$5.00 until 1 ")
    expect(row).to_contain_text("raised for this window")


def find_in_the_log(page, costs):
    """From the chart to that day's calls, which add up."""
    page.reload()
    page.locator(".chart-area a").last.click()
    expect(page.locator("#calls tbody tr")).to_have_count(len(costs) + 1)
    cells = page.locator("#calls td[data-label='Cost'] data")
    shown = cells.evaluate_all("cells => cells.map(cell => cell.value)")
    assert sorted(map(Decimal, shown)) == sorted([*costs, Decimal(0)])
    page.get_by_role("link", name="History").click()
    expect(page.locator(".history")).to_contain_text("raised this window")


def width_of(row):
    return float(row.locator("rect.spent").get_attribute("width"))


def spent(site):
    """Of the open window, in dollars."""
    ((found,),) = site.rows(
        """select w.spent from spend_budgetwindow w join tags_tag t on t.budget_id = w.budget_id
            where t.name = %s and w.is_open""",
        NAME,
    )
    return Decimal(found).scaleb(-9)
