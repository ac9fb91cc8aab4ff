"""What pictures say about themselves: found by typing, filtered by, and shown on a picture's page."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.actions import open_first, search
from tests.browser.collection import ANNOTATED, CITY, KEYWORD, PERSON
from tests.browser.test_filters import choices, counted, results


@pytest.mark.parametrize("text", [KEYWORD, PERSON, "München"])
def test_a_word_of_a_sidecar_finds_its_pictures(page: Page, text: str) -> None:
    """A keyword, a person's name in a face region, or the city of the position."""
    hits = search(page, text)["hits"][: len(ANNOTATED)]
    assert all(hit["matched"] and hit["sources"][-1] == "annotation" for hit in hits)
    dialog = open_first(page)
    expect(dialog).to_contain_text("Found in what the picture says")


@pytest.mark.parametrize(
    ("name", "value"), [("Keyword", KEYWORD), ("Person", PERSON), ("Place", CITY), ("Rating", "★★★★")]
)
def test_filters_by_what_pictures_say(page: Page, name: str, value: str) -> None:
    """Shown because some pictures have such values."""
    rows = choices(page, name)
    assert counted(rows)[value] == len(ANNOTATED)
    rows.filter(has_text=value).get_by_role("checkbox").check()
    results(page, len(ANNOTATED))
    expect(page).to_have_url(re.compile(f"{name.lower()}="))


def test_filters_without_values_are_not_offered(page: Page) -> None:
    """No picture names its lens."""
    expect(page.get_by_role("button", name="Keyword")).to_be_visible()
    expect(page.get_by_role("button", name="Lens")).to_be_hidden()


def test_a_picture_shows_what_it_says(page: Page) -> None:
    """People's words first."""
    search(page, KEYWORD)
    dialog = open_first(page)
    details = dialog.get_by_role("region", name="Details")
    for term, value in (
        ("People", PERSON),
        ("Keywords", KEYWORD),
        ("Rating", "★★★★"),
        ("Place", f"{CITY}, Bavaria, Germany"),
    ):
        expect(details.locator(f"dt:has-text('{term}') + dd").first).to_have_text(value)
