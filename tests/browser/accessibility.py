"""Checks a page with axe-core, which is beside this file with its licence (MPL 2.0)."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

AXE = Path(__file__).with_name("axe-core-4.14.1.min.js")
RUN = "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"


def barriers(page: Page) -> list[str]:
    """Return each serious or critical barrier: its rule, and its elements."""
    page.evaluate(AXE.read_text())
    found: list[dict[str, Any]] = page.evaluate(RUN)
    return [
        f"{one['id']} ({one['impact']}): {[node['target'] for node in one['nodes']][:4]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
