"""What a machine can find of WCAG 2.2 AA on a page as it is shown, scripts on or off.

Names of controls and links, labels, texts instead of pictures, language and title, headings that skip no level, ids
that are used once, contrast of text, and no scrolling sideways. What needs a person's judgement is not here.
"""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

_FIND = Path(__file__).with_suffix(".js").read_text(encoding="utf-8").partition("\n")[2]


def findings(page: Page) -> list[str]:
    """What is wrong with the page that is shown; each fault in a sentence."""
    found: list[str] = page.evaluate(_FIND)
    return found
