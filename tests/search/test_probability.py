"""Match probabilities of the shipped model: neither an image nor excluded words in the query raise them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image, ImageOps

from encoders import load_encoder
from indexer import Catalog, index_paths
from search import Answer, SearchEngine

DATA = Path(skimage.__file__).parent / "data"
NAMES = (
    *("astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png", "clock_motion.png", "coffee.png"),
    *("coins.png", "color.png", "grass.png", "gravel.png", "horse.png", "hubble_deep_field.jpg", "ihc.png"),
    *("moon.png", "motorcycle_left.png", "page.png", "retina.jpg", "rocket.jpg"),
)
COUNT = 50
ROUNDING = 1e-5


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchEngine]:
    """An engine over fifty photographs: those of scikit-image, and mirrored crops of them."""
    folder, rng = tmp_path_factory.mktemp("photographs"), np.random.default_rng(19)
    for n in range(COUNT):
        with Image.open(DATA / NAMES[n % len(NAMES)]) as image:
            picture = ImageOps.contain(image.convert("RGB"), (320, 320))
        if n >= len(NAMES):
            width, height = (int(side * rng.uniform(0.6, 0.9)) for side in picture.size)
            x, y = (int(rng.integers(0, a - b)) for a, b in zip(picture.size, (width, height), strict=True))
            picture = ImageOps.mirror(picture.crop((x, y, x + width, y + height)))
        picture.save(folder / f"{n:02}.png")
    encoder = load_encoder()
    with Catalog.open(tmp_path_factory.mktemp("index"), create=True) as catalog:
        index_paths(catalog, encoder, [folder])
        with SearchEngine.open(catalog.directory, encoder=encoder) as opened:
            yield opened


def probabilities(answer: Answer) -> dict[int, float]:
    """Match probabilities by image id."""
    assert len(answer.hits) == COUNT
    return {hit.image_id: hit.match_probability for hit in answer.hits if hit.match_probability is not None}


@pytest.fixture(scope="module", params=["a violin", "a dog in the grass", "a zxqwv"])
def sentence(engine: SearchEngine, request: pytest.FixtureRequest) -> tuple[str, dict[int, float]]:
    """Sentences of familiar or unknown words, with the probabilities of each sentence alone."""
    return request.param, probabilities(engine.search_images(request.param, k=COUNT))


@pytest.mark.parametrize(
    ("excluded", "name"),
    [("", "chelsea.png"), (" -people", None), (' -cat -"a brick wall"', None), (" -people", "brick.png")],
)
def test_no_probability_exceeds_that_of_the_sentence_alone(
    engine: SearchEngine, sentence: tuple[str, dict[int, float]], excluded: str, name: str | None
) -> None:
    """With an image they are equal; with an excluded word equal or lower, some of them lower."""
    text, alone = sentence
    image = None if name is None else NAMES.index(name) + 1
    changed = probabilities(engine.search_images(text + excluded, image=image, k=COUNT))
    assert all(probability <= alone[image_id] + ROUNDING for image_id, probability in changed.items())
    if excluded:
        assert any(probability < 0.9 * alone[image_id] for image_id, probability in changed.items())
    else:
        assert changed == pytest.approx(alone, abs=ROUNDING)


def test_a_picture_and_excluded_words_still_decide_the_order(engine: SearchEngine) -> None:
    """The query's own image, or a crop of it, ranks first, and an excluded cat is moved down."""
    cat, bricks = (NAMES.index(name) + 1 for name in ("chelsea.png", "brick.png"))
    for image_id in (cat, bricks):
        hit = engine.search_images("a violin", image=image_id, k=1).hits[0]
        assert (hit.image_id - image_id) % len(NAMES) == 0
    plain, without = (
        {hit.image_id: hit.rank for hit in engine.search_images(text, k=COUNT).hits}
        for text in ("an animal", "an animal -cat")
    )
    assert without[cat] > plain[cat]
