"""Arguments that begin with a hyphen."""

from __future__ import annotations

import pytest

from tests.api.conftest import Run


@pytest.mark.parametrize("command", ["search", "captions", "similar", "serve", "index"])
@pytest.mark.parametrize("argument", ["-rf.jpg", "-k9.jpg", "-holiday.jpg", "--two words", "--rf.jpg"])
def test_an_argument_that_begins_with_a_hyphen_says_what_to_type(run: Run, command: str, argument: str) -> None:
    """The message shows the argument after `--`, not the first letter that is no option."""
    done = run(command, argument)
    words = " ".join(done.err.replace("│", " ").split())
    assert done.status == 2
    assert "was read as options. Put -- before a text or name that begins with a hyphen" in words
    assert f"{command} -- {argument!r}" in words or f"{command} -- {argument}" in words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--wher", "x"), "No such option: --wher"),
        (("-k", "many"), "Invalid value for '-k'"),
        (("--without", "-people"), "give TEXT"),
    ],
)
def test_other_mistakes_keep_their_message(run: Run, arguments: tuple[str, ...], words: str) -> None:
    """Misspelt options and invalid values are called that, and options may have values with a hyphen."""
    done = run("search", *arguments)
    assert done.status == 2
    assert words in done.err
    assert "was read as options" not in done.err
