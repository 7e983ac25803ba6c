"""Chromium by Playwright against the site; skipped in one line where there is no browser."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright

from tests.browser.site import PASSWORD, USERNAME, Site, running_site

NAMES = ("chromium", "chromium-browser", "google-chrome")
NO_BROWSER = "no Chromium: install it, or name it in CHROMIUM (REQUIRE_BROWSER=1 fails instead)"
WIDE = 1280

# What every page must run under; the middleware that sends it comes with the pages.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none';"
    " base-uri 'none'"
)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where it is."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None and os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail(NO_BROWSER, pytrace=False)
    if found is None:
        pytest.skip(NO_BROWSER)
    return found


@pytest.fixture(scope="session")
def site(chromium, worker_id, tmp_path_factory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with running_site(f"tollgate_browser_{worker_id}", folder) as running:
        yield running


@pytest.fixture(scope="module")
def browser(chromium) -> Iterator[Browser]:
    """Not for longer than its module: its event loop would stand in other tests' way."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # root has no use for one
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=sandbox)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def logged_in(browser, site) -> Any:
    """The cookies of somebody who has logged in by the form."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{site.url}/admin/login/")
    page.get_by_label("Username").fill(USERNAME)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Site administration").wait_for()
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def page(browser, site, logged_in) -> Iterator[Page]:
    """A logged-in page. The test fails on whatever went wrong in the browser meanwhile."""
    context = browser.new_context(
        base_url=site.url,
        storage_state=logged_in,
        viewport={"width": WIDE, "height": 900},
        reduced_motion="reduce",
    )
    wrong = complaints_of(context, site)
    context.route("**/admin/**", under_policy)
    opened = context.new_page()
    yield opened
    context.close()
    assert wrong == []


def complaints_of(context: BrowserContext, site: Site) -> list[str]:
    """Filled as they come: errors in scripts and on the console, answers, strangers."""
    wrong: list[str] = []
    here = urlsplit(site.url).netloc

    def hear_answer(answer: Any) -> None:
        if answer.status >= 400:
            wrong.append(f"{answer.status} {answer.url}")

    def hear_request(request: Any) -> None:
        if urlsplit(request.url).netloc not in (here, ""):
            wrong.append(f"asked {request.url}")

    def hear_console(message: Any) -> None:
        if message.type in ("error", "warning"):
            wrong.append(f"{message.type}: {message.text}")

    context.on("console", hear_console)
    context.on("weberror", lambda error: wrong.append(f"script: {error.error}"))
    context.on("response", hear_answer)
    context.on("request", hear_request)
    return wrong


def under_policy(route: Route) -> None:
    """Pages come with the policy that the site is written for."""
    if route.request.resource_type != "document" or route.request.method != "GET":
        route.continue_()
        return
    answer = route.fetch(max_redirects=0)
    headers = {**answer.headers, "content-security-policy": POLICY}
    route.fulfill(response=answer, headers=headers)


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where people look at them."""
    folder = Path(__file__).parents[2] / ".data" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
