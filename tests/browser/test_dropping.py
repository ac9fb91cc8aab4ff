"""Query pictures, dropped, pasted or chosen: captions, similar pictures, and refining by words."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, Page, expect

from scripts.demo import photograph_folder
from tests.browser.actions import box, seen, tiles

PHOTOGRAPH = "chelsea.png"

GIVE = """([data, name, type, how]) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const carried = new DataTransfer();
    carried.items.add(new File([bytes], name, {type}));
    if (how === "paste") {
        const options = {clipboardData: carried, bubbles: true, cancelable: true};
        document.activeElement.dispatchEvent(new ClipboardEvent("paste", options));
        return;
    }
    const target = document.querySelector(how);
    for (const kind of ["dragenter", "dragover"]) {
        target.dispatchEvent(new DragEvent(kind, {dataTransfer: carried, bubbles: true, cancelable: true}));
    }
    window.veiled = !document.getElementById("drop").hidden;
    target.dispatchEvent(new DragEvent("drop", {dataTransfer: carried, bubbles: true, cancelable: true}));
}"""
"""Dispatches the events of dropping or pasting a file."""


def give(page: Page, how: str, path: Path, kind: str = "image/png") -> None:
    """Drop a file on an element, or paste it."""
    page.evaluate(GIVE, [base64.b64encode(path.read_bytes()).decode(), path.name, kind, how])


@pytest.mark.parametrize("how", ["#grid", "header.bar", "#timeline", "paste", "choose"])
def test_a_picture_from_anywhere_finds_captions_and_pictures_like_it(page: Page, how: str) -> None:
    """A picture can be dropped on any part of the page, pasted, or chosen with a button."""
    expect(tiles(page).first).to_be_visible()
    path = photograph_folder() / PHOTOGRAPH
    with page.expect_response("**/v1/search/image") as answered, page.expect_response("**/v1/captions") as captioned:
        if how == "choose":
            with page.expect_file_chooser() as chosen:
                page.get_by_role("button", name="Search with a picture").click()
            chosen.value.set_files(path)
        else:
            give(page, how, path)
            assert how == "paste" or page.evaluate("window.veiled")
    first = answered.value.json()["hits"][0]
    assert "chelsea" in first["path"]
    expect(tiles(page).first).to_have_attribute("data-id", str(first["image_id"]))
    about = page.get_by_role("region", name="Query picture")
    expect(about.get_by_role("img")).to_be_visible()
    for hit in captioned.value.json()["hits"][:3]:
        expect(about.get_by_role("button", name=hit["text"])).to_be_visible()
    expect(page.locator("#drop")).to_be_hidden()


def test_words_refine_a_picture(page: Page) -> None:
    """Words and picture are searched together; removing the picture keeps the words."""
    give(page, "#grid", photograph_folder() / "coffee.png")
    expect(tiles(page).first.get_by_role("link")).to_have_accessible_name(re.compile("coffee"))
    box(page).fill("a cat")
    expect(tiles(page).first.locator(".caption")).to_contain_text("%")  # there is a sentence to match
    data = (photograph_folder() / "coffee.png").read_bytes()
    given = FilePayload(name="coffee.png", mimeType="image/png", buffer=data)
    asked = page.request.post(
        f"{page.url.split('/?')[0]}/v1/search/image", multipart={"image": given, "text": "a cat", "k": 60}
    )
    best = asked.json()["hits"][0]
    expect(tiles(page).first).to_have_attribute("data-id", str(best["image_id"]))
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("region", name="Query picture")).to_be_hidden()
    expect(box(page)).to_have_value("a cat")


def test_a_caption_of_a_picture_becomes_a_query(page: Page) -> None:
    """Clicking a caption puts it into the search field."""
    give(page, "#grid", photograph_folder() / PHOTOGRAPH)
    caption = page.get_by_role("region", name="Query picture").get_by_role("listitem").first
    text = caption.inner_text()
    caption.get_by_role("button").click()
    expect(box(page)).to_have_value(text)
    expect(page).to_have_url(re.compile(r"q="))


def test_what_is_no_picture_is_refused(page: Page, tmp_path: Path) -> None:
    """The page says which files it takes, and keeps what it shows."""
    expect(tiles(page).first).to_be_visible()
    (tmp_path / "letter.txt").write_text("dear reader")
    give(page, "#grid", tmp_path / "letter.txt", "text/plain")
    expect(page.get_by_text("That is not a picture")).to_be_visible()
    expect(tiles(page).first).to_be_visible()


DRAG = """([kinds, how]) => {
    const carried = new DataTransfer();
    for (const [kind, text] of Object.entries(kinds)) carried.setData(kind, text);
    const options = {dataTransfer: carried, bubbles: true, cancelable: true};
    const events = ["dragenter", "dragover", "drop"].map((kind) => new DragEvent(kind, options));
    for (const event of events) document.querySelector(how).dispatchEvent(event);
    return events.slice(1).map((event) => event.defaultPrevented);
}"""
"""Dispatches the events of dragging something without a file; returns whether dragover and drop were handled."""


@pytest.mark.parametrize("kind", ["text/html", "text/uri-list", "text/plain"])
def test_a_picture_dragged_from_another_tab_is_fetched_if_it_is_of_this_server(page: Page, kind: str) -> None:
    """Browsers may give its address only: as an element, as a link, or as text."""
    number = tiles(page).first.get_attribute("data-id")
    address = f"{page.url.split('/?')[0].rstrip('/')}/v1/images/{number}/thumbnail?size=512"
    forms = {
        "text/html": f'<a href="https://other.example"><img src="{address}"></a>',
        "text/uri-list": f"#x\r\n{address}",
    }
    with page.expect_response("**/v1/search/image") as answered:
        assert page.evaluate(DRAG, [{kind: forms.get(kind, address)}, "#grid"]) == [True, True]
    assert answered.value.json()["hits"][0]["image_id"] == int(number or 0)
    expect(page.get_by_role("region", name="Query picture").get_by_role("img")).to_be_visible()


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        ({"text/uri-list": "https://other.example/cat.jpg"}, "The browser does not hand over that picture"),
        ({"text/html": '<img src="//x">', "text/uri-list": "http://127.0.0.1:1/cat.jpg"}, "does not hand over"),
        ({"text/html": '<img src="data:image/png;base64,AAAA">'}, "The browser does not hand over that picture"),
        ({"text/plain": "blob:{origin}/1234"}, "The browser does not hand over that picture"),
        ({"text/uri-list": "{origin}/healthz"}, "That is not a picture"),
        ({"text/plain": "a few words"}, "That is not a picture"),
    ],
)
def test_what_is_dragged_from_elsewhere_is_refused_in_the_page(page: Page, kinds: dict[str, str], words: str) -> None:
    """The page says what to do, and the browser does not leave it."""
    expect(tiles(page).first).to_be_visible()
    before, origin = page.url, page.url.split("/?")[0].rstrip("/")
    given = {kind: text.replace("{origin}", origin) for kind, text in kinds.items()}
    assert page.evaluate(DRAG, [given, "#grid"]) == [True, True]
    expect(page.get_by_text(words)).to_be_visible()
    expect(page.locator("#drop")).to_be_hidden()
    expect(tiles(page).first).to_be_visible()
    assert page.url == before


def test_text_can_be_dragged_into_the_search_field(page: Page) -> None:
    """The field takes it as everywhere else; an address dropped there is meant as a picture."""
    seen(page)  # an answer takes messages away
    assert page.evaluate(DRAG, [{"text/plain": "a cat"}, "#q"]) == [False, False]
    assert page.evaluate(DRAG, [{"text/uri-list": "https://other.example/cat.jpg"}, "#q"]) == [True, True]
    expect(page.get_by_text("The browser does not hand over that picture")).to_be_visible()


@pytest.mark.troubled
def test_a_picture_that_cannot_be_read_says_why(page: Page, tmp_path: Path) -> None:
    """The server's reason is shown."""
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    with page.expect_response("**/v1/search/image") as answered:
        give(page, "#grid", tmp_path / "broken.png")
    assert answered.value.status == 422
    expect(page.get_by_text(answered.value.json()["detail"]).first).to_be_visible()
