"""What the tests in a browser ask of every page: windows, what fits and is named, and going on to the next page.

A press without scripts loads a page, and a click returns before it has come: whoever looks then sees the page that is
going, or none. `follow` returns on the page that was asked for.
"""

from __future__ import annotations

from playwright.sync_api import Locator, Page, ViewportSize

DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 375, "height": 700}
PATIENCE_MS = 30_000  # what a busy machine may take to show what was asked for; as the browser's own waits
_WIDER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
_NAMELESS = """() => [...document.querySelectorAll('a[href], button, input, select, textarea, summary')]
  .filter((one) => one.type !== 'hidden' && one.checkVisibility() && !one.labels?.length && !one.ariaLabel)
  .filter((one) => one.matches('input, select, textarea') || !one.textContent.trim())
  .map((one) => one.outerHTML.slice(0, 120))"""


def follow(page: Page, target: Locator) -> None:
    """Press what leads to another page, or to this one again; return when that page has loaded."""
    with page.expect_navigation():
        target.click()


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    wider: int = page.evaluate(_WIDER)
    return wider


def nameless(page: Page) -> list[str]:
    """The controls that are shown and that nothing names."""
    found: list[str] = page.evaluate(_NAMELESS)
    return found


def fit(page: Page) -> None:
    """Fail unless the page is no wider than its window and all its controls have names."""
    assert overflow(page) <= 0, f"{page.url} is wider than its window"
    assert nameless(page) == [], page.url


def foreign(url: str) -> list[str]:
    """The fault in asking for this address: everything a page needs comes from its own server."""
    own = url.startswith(("http://127.0.0.1", "http://localhost", "data:", "blob:", "about:"))
    return [] if own else [f"request to another host: {url}"]
