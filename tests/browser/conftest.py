"""Chromium by Playwright against the site; skipped in one line where there is no browser."""

import os
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.complaints import Complaints
from tests.browser.looks import LOOKS, WIDE, take_picture, violations_on, write_index
from tests.browser.site import PASSWORD, USERNAME, Site, make_user, running_site

NAMES = ("chromium", "chromium-browser", "google-chrome")
NO_BROWSER = "no Chromium: install it, or name it in CHROMIUM (REQUIRE_BROWSER=1 fails instead)"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """All of them go to one process, which starts one site, and first: they take the longest."""
    here = Path(__file__).parent
    for item in items:
        if item.path.parent == here:
            item.add_marker(pytest.mark.xdist_group("browser"))
    yield
    items.sort(key=lambda item: item.path.parent != here)


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
    """The cookies of the administrator, who has logged in by the form."""
    return cookies_of(browser, site, USERNAME)


def cookies_of(browser: Browser, site: Site, username: str) -> Any:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{site.url}/admin/login/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.locator("#user-tools").wait_for()
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def complaints(site) -> Complaints:
    return Complaints(urlsplit(site.url).netloc)


@pytest.fixture
def visit(browser, site, logged_in, complaints) -> Iterator[Callable[..., Page]]:
    """Opens a page in a context of its own: `visit(javascript=False, width=390)`.

    The test fails on whatever went wrong in any of them meanwhile.
    """
    contexts = []

    def open_page(
        *, user: Any = None, javascript: bool = True, width: int = WIDE, **options: Any
    ) -> Page:
        context = browser.new_context(
            base_url=site.url,
            storage_state=user or logged_in,
            viewport={"width": width, "height": 900},
            reduced_motion="reduce",
            java_script_enabled=javascript,
            **options,
        )
        contexts.append(context)
        complaints.listen_to(context)
        return context.new_page()

    yield open_page
    for context in contexts:
        context.close()
    assert complaints.unexpected() == []


@pytest.fixture
def page(visit) -> Page:
    """A logged-in page."""
    return visit()


@pytest.fixture
def log_in(browser, site) -> Callable[[str], Any]:
    """The cookies of somebody else, who is made with these groups: `log_in("FinOps viewer")`."""

    def made(*groups: str, username: str | None = None) -> Any:
        name = username or f"user-{len(groups)}-{'-'.join(groups).replace(' ', '').lower()}"
        make_user(site, name, groups)
        return cookies_of(browser, site, name)

    return made


@pytest.fixture(scope="session")
def screenshots() -> Iterator[Path]:
    """Where people look at them, side by side in index.html."""
    folder = Path(__file__).parents[2] / ".data" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
    write_index(folder)


@pytest.fixture
def look(complaints, screenshots) -> Callable[..., None]:
    """`look(page, "tags")`: pictures in each look; axe finds nothing, nothing sticks out."""

    def looked(
        page: Page,
        name: str,
        *,
        axe: bool = True,
        widths: Sequence[int] = (),
        known: Collection[str] = (),
    ) -> None:
        for theme, width in [*LOOKS, *(("light", narrow) for narrow in widths)]:
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            take_picture(page, screenshots / f"{name}-{theme}-{width}.png")
            if axe:
                broken = complaints.during_axe(lambda: violations_on(page))
                found = [line for line in broken if line.split(":")[0] not in known]
                assert found == [], f"{name}, {theme}, {width}"
        page.set_viewport_size({"width": WIDE, "height": 900})

    return looked
