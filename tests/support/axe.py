"""An automated check of a page against WCAG 2.1 AA: the rules of axe-core, run in the page as it stands."""

from __future__ import annotations

from functools import cache
from importlib import resources

from playwright.sync_api import Page

_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
_RUN = """async (tags) => (await axe.run(document, {runOnly: tags})).violations.flatMap((rule) =>
  rule.nodes.map((node) => `${rule.id}: ${node.html.slice(0, 160)} ${node.failureSummary}`))"""


@cache
def _source() -> str:
    return resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


def violations(page: Page) -> list[str]:
    """What is wrong with the page: the rule, the element and why."""
    page.evaluate(_source() + "; undefined")
    found: list[str] = page.evaluate(_RUN, _TAGS)
    return found
