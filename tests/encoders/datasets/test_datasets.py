"""Reading datasets of captioned pictures in all layouts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.datasets import Dataset, Example, read_captions, read_dataset
from encoders.datasets.rows import collect
from encoders.datasets.tables import rows as table_rows
from encoders.errors import DatasetError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder whose subfolder `images` holds four (empty) pictures."""
    (tmp_path / "images").mkdir()
    for name in ("1.jpg", "2.jpg", "3.jpg", "4.jpg"):
        (tmp_path / "images" / name).touch()
    return tmp_path


def shape(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """Return captions by the name of their picture."""
    return {e.image.name: e.captions for e in dataset.examples}


def reasons(dataset: Dataset) -> list[str]:
    """Return the location and reason of each refused row."""
    return [f"{r.file.name}:{r.line} {r.reason}" for r in dataset.rejected]


def test_the_flickr8k_release(root: Path) -> None:
    """Token file, split lists and pictures; bad rows are refused with their line."""
    (root / "Flickr8k.token.txt").write_text(
        "1.jpg#0\tA dog .\n1.jpg#1\tA  brown dog .\n2.jpg#0\tA cat .\n"
        "no tab here\nmissing.jpg#0\tNothing\n3.jpg#0\t\n3.jpg#x\tNo\n"
    )
    (root / "Flickr_8k.trainImages.txt").write_text("1.jpg\n")
    (root / "Flickr_8k.devImages.txt").write_text("2.jpg\n")
    dataset = read_dataset(root)
    assert shape(dataset) == {"1.jpg": ("A dog .", "A brown dog ."), "2.jpg": ("A cat .",)}
    assert dataset.splits == ("dev", "train")
    assert shape(dataset.select("dev")) == {"2.jpg": ("A cat .",)}
    assert sorted(reasons(dataset)) == [
        "Flickr8k.token.txt:4 expected NAME#K, a tab and a caption",
        "Flickr8k.token.txt:5 no image missing.jpg",
        "Flickr8k.token.txt:6 no caption for 3.jpg",
        "Flickr8k.token.txt:7 expected NAME#K before the tab, found '3.jpg#x'",
    ]
    with pytest.raises(DatasetError, match=r"has no split 'test'; it has: dev, train, all"):
        dataset.select("test")


def test_captions_in_another_language_have_the_splits_of_the_folder_above(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pictures too; split lists beside the file itself come first."""
    (root / "Flickr_8k.trainImages.txt").write_text("1.jpg\n3.jpg\n")
    (root / "Flickr_8k.devImages.txt").write_text("2.jpg\n")
    (root / "languages").mkdir()
    german = root / "languages" / "Flickr8k.token.de.txt"
    german.write_text("1.jpg#0\tEin Hund\n2.jpg#0\tEine Katze\n2.jpg#1\tKatze\n4.jpg#0\tEin Haus\n")
    expected = {"train": {"1.jpg": ("Ein Hund",)}, "dev": {"2.jpg": ("Eine Katze", "Katze")}}
    monkeypatch.chdir(root / "languages")
    for path in (german, Path(german.name)):
        dataset = read_dataset(path)
        assert dataset.name == "Flickr8k.token.de"
        assert {split: shape(dataset.select(split)) for split in ("train", "dev")} == expected
    (root / "languages" / "devImages.txt").write_text("4.jpg\n")
    assert shape(read_dataset(german).select("dev")) == {"4.jpg": ("Ein Haus",)}


def test_the_names_of_a_validation_split_are_synonyms(root: Path) -> None:
    """So that one name serves several datasets; a split of the name itself comes first."""
    (root / "a.csv").write_text("image,caption,split\n1.jpg,one,val\n2.jpg,two,train\n3.jpg,three,test\n")
    dataset = read_dataset(root / "a.csv")
    assert dataset.validation_split == "val"
    assert dataset.select("dev") == dataset.select("validation") == dataset.select("val")
    (root / "a.csv").write_text("image,caption,split\n1.jpg,one,val\n2.jpg,two,dev\n")
    assert shape(read_dataset(root / "a.csv").select("val")) == {"1.jpg": ("one",)}
    with pytest.raises(DatasetError, match=r"has no split 'dev'; it has: test, all"):
        Dataset("d", (Example(Path("1.jpg"), ("x",), "test"),)).select("dev")


def test_the_flickr30k_releases(root: Path) -> None:
    """The token file of 30k, and its other release, a table with bars."""
    (root / "results_20130124.token").write_text("1.jpg#0\tOne\n")
    assert shape(read_dataset(root)) == {"1.jpg": ("One",)}
    (root / "results_20130124.token").unlink()
    (root / "results.csv").write_text("image_name| comment_number| comment\n1.jpg| 0| One, two | three\n")
    assert shape(read_dataset(root)) == {"1.jpg": ("One, two | three",)}


def test_karpathy_json(root: Path) -> None:
    """Splits, with restval as training data, and folders if there are any."""
    (root / "val2014").mkdir()
    (root / "val2014" / "5.jpg").touch()
    images = [
        {"filename": "1.jpg", "split": "restval", "sentences": [{"raw": "One"}, {"raw": "Uno"}]},
        {"filename": "2.jpg", "split": "test", "sentences": [{"raw": "Two"}]},
        {"filename": "5.jpg", "filepath": "val2014", "split": "val", "sentences": [{"raw": "Five"}]},
        {"split": "test", "sentences": []},
        {"filename": "3.jpg", "split": "test", "sentences": [{"tokens": []}]},
    ]
    (root / "dataset.json").write_text(json.dumps({"images": images}))
    dataset = read_dataset(root / "dataset.json")
    assert shape(dataset) == {"1.jpg": ("One", "Uno"), "2.jpg": ("Two",), "5.jpg": ("Five",)}
    assert dataset.splits == ("test", "train", "val")
    assert reasons(dataset) == ["dataset.json:None images[3]: no 'filename'", "dataset.json:None images[4]: no 'raw'"]


def test_coco_captions_json(root: Path) -> None:
    """Annotations refer to pictures by id; those with an unknown id are refused."""
    document = {
        "images": [{"id": 7, "file_name": "1.jpg"}, {"id": 8}],
        "annotations": [
            {"image_id": 7, "caption": "One"},
            {"image_id": 7, "caption": "Uno"},
            {"image_id": 9, "caption": "Nine"},
            {"image_id": 7},
        ],
    }
    (root / "captions_val2017.json").write_text(json.dumps(document))
    dataset = read_dataset(root / "captions_val2017.json")
    assert shape(dataset) == {"1.jpg": ("One", "Uno")}
    assert dataset.splits == ("val",)
    assert [r.split(": ")[1] for r in reasons(dataset)] == ["no 'file_name'", "no 9", "no 'caption'"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", 'image,caption\n1.jpg,"One, and more"\n2.jpg,Two\n'),
        ("a.csv", "caption;image\nOne, and more;1.jpg\nTwo;2.jpg\n"),
        ("a.csv", '1.jpg,"One, and more"\n2.jpg,Two\n'),
        ("a.tsv", "filename\tsplit\ttext\n1.jpg\tall\tOne, and more\n2.jpg\tall\tTwo\n"),
        ("a.jsonl", '{"image": "1.jpg", "captions": ["One, and more"]}\n\n{"file_name": "2.jpg", "text": "Two"}\n'),
        ("a.csv", '\ufeffimage,caption\r\n1.jpg,"One, and more"\r\n2.jpg,Two\r\n'),
    ],
)
def test_tables(root: Path, name: str, text: str) -> None:
    """With and without a header, in any order of columns, quoted, with a byte order mark, and JSON Lines."""
    (root / name).write_text(text, encoding="utf-8", newline="")
    dataset = read_dataset(root)
    assert shape(dataset) == {"1.jpg": ("One, and more",), "2.jpg": ("Two",)}
    assert dataset.rejected == ()


def test_bad_rows_of_tables_are_named_with_their_line(root: Path) -> None:
    """A caption with an unquoted comma, an empty one, a picture that is missing, bytes that are not UTF-8."""
    (root / "a.csv").write_bytes(b"image,caption\n1.jpg,one,two\n1.jpg,\n9.jpg,nine\n1.jpg,caf\xe9\n1.jpg,good\n")
    assert sorted(reasons(read_dataset(root))) == [
        "a.csv:2 expected 2 columns, found 3; quote a caption with commas",
        "a.csv:3 no caption for 1.jpg",
        "a.csv:4 no image 9.jpg",
        "a.csv:5 neither UTF-8 nor UTF-16; save the file as UTF-8",
    ]
    (root / "a.csv").unlink()
    (root / "a.jsonl").write_text('{"image": "1.jpg", "caption": "good"}\n{oops\n[1]\n{"image": "1.jpg"}\n')
    assert [r.split(" ")[0] for r in reasons(read_dataset(root))] == ["a.jsonl:2", "a.jsonl:3", "a.jsonl:4"]


def test_labels_of_json_lines_are_read(root: Path) -> None:
    """Lists and single names, each with its key, of all rows of a picture; other values are none, and no fault."""
    rows = [
        {"image": "1.jpg", "caption": "one", "objects": ["hot dog", " cat "], "class": "red_fox"},
        {"image": "1.jpg", "caption": "two", "tags": ["cat", "sky", "", None, {"id": 1}], "label": 7},
        {"image": "1.jpg", "caption": "again", "objects": ["cat"], "labels": "tree\n"},
        {"image": "2.jpg", "caption": "three", "tags": None, "objects": {"bbox": [1, 2]}, "class": True},
        {"image": "2.jpg", "caption": "four", "labels": ["\ud83d", "\x1b[31m"]},
    ]
    (root / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    dataset = read_dataset(root)
    assert not dataset.rejected
    first, second = dataset.examples
    assert first.labels == (
        ("objects", "hot dog"),
        ("objects", "cat"),
        ("class", "red fox"),
        ("tags", "cat"),
        ("tags", "sky"),
        ("labels", "tree"),
    )
    assert second.labels == ()
    assert second.captions == ("three", "four")


def test_sidecars(root: Path) -> None:
    """NAME.txt beside NAME.jpg, one caption per line, also in subfolders; pictures without one are refused."""
    (root / "images" / "1.txt").write_text("One\n\nUno\n")
    (root / "images" / "2.txt").write_text("\n")
    dataset = read_dataset(root)
    assert shape(dataset) == {"1.jpg": ("One", "Uno")}
    assert sorted(r.split(" ", 1)[1] for r in reasons(dataset)) == [
        "no 3.txt beside it",
        "no 4.txt beside it",
        "no caption in it",
    ]


def test_captions_in_utf16_are_read(root: Path) -> None:
    """In sidecars and caption files of every kind, with a byte order mark or mostly Latin."""
    (root / "images" / "1.txt").write_text("großer Hund\r\na dog\r\n", encoding="utf-16")
    (root / "images" / "2.txt").write_text("a cat\n", encoding="utf-16-le")
    assert shape(read_dataset(root / "images")) == {"1.jpg": ("großer Hund", "a dog"), "2.jpg": ("a cat",)}
    contents = {
        "b.csv": "image,caption\n1.jpg,Hündin\n",
        "captions.txt": "image,caption\n1.jpg,Hündin\n",
        "c.jsonl": '{"image": "1.jpg", "caption": "Hündin"}\n',
        "d.json": '{"images": [{"filename": "1.jpg", "sentences": [{"raw": "Hündin"}]}]}',
        "e.token": "1.jpg#0\tHündin\n",
    }
    for name, text in contents.items():
        for encoding in ("utf-16", "utf-8-sig"):
            (root / name).write_text(text, encoding=encoding)
            assert shape(read_dataset(root / name)) == {"1.jpg": ("Hündin",)}


def test_a_sidecar_that_cannot_be_read_is_skipped(root: Path) -> None:
    """The others are read; the reason names the file once."""
    (root / "images" / "1.txt").write_text("a dog")
    (root / "images" / "2.txt").mkdir()
    (root / "images" / "3.txt").symlink_to("3.txt")
    dataset = read_dataset(root / "images")
    assert shape(dataset) == {"1.jpg": ("a dog",)}
    assert any("3.txt: cannot be read: Too many levels" in str(row) for row in dataset.rejected)


def test_captions_in_another_encoding_are_refused_by_row(root: Path) -> None:
    """Latin-1 in a sidecar or in JSON: the error names the file, and the line if there is one."""
    (root / "images" / "1.txt").write_bytes(b"\ncaf\xe9\na coffee\n")
    dataset = read_dataset(root / "images")
    assert shape(dataset) == {"1.jpg": ("a coffee",)}
    assert reasons(dataset)[0] == "1.txt:2 neither UTF-8 nor UTF-16; save the file as UTF-8"
    document = json.dumps({"images": [{"filename": "1.jpg", "sentences": [{"raw": "E"}, {"raw": "a cup"}]}]})
    (root / "a.json").write_bytes(document.encode().replace(b"E", b"\xe9"))
    reason = "a.json:None neither UTF-8 nor UTF-16 in a row of '1.jpg'; save the file as UTF-8"
    assert reasons(read_dataset(root)) == [reason]


def test_pictures_can_be_in_another_folder(root: Path, tmp_path: Path) -> None:
    """`images=` names their folder."""
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "9.jpg").touch()
    (root / "a.csv").write_text("image,caption\n9.jpg,nine\n")
    with pytest.raises(DatasetError, match=r"names no usable picture \(looked in .*; 1 refused; the first fault: .*:2"):
        read_dataset(root)
    assert shape(read_dataset(root, images=tmp_path / "else")) == {"9.jpg": ("nine",)}


@pytest.mark.parametrize(
    ("files", "target", "words"),
    [
        ({}, "nowhere", "no such file or folder"),
        ({"a.json": "{"}, "a.json", r"a\.json:1: not JSON .* cut short"),
        ({"a.json": "[]"}, "a.json", "neither Karpathy's layout nor COCO captions"),
        ({"a.doc": "x"}, "a.doc", "unknown kind of caption file"),
        ({"a.csv": "", "b.csv": ""}, ".", r"several caption files \(a\.csv, b\.csv\); name the one"),
        ({"a.csv": "image,caption\n"}, ".", r"holds no usable caption \(0 rows refused\)"),
        ({"a.csv": "image,caption\n1.jpg,\n"}, ".", "1 rows refused; the first fault"),
    ],
)
def test_what_is_no_dataset_is_refused(root: Path, files: dict[str, str], target: str, words: str) -> None:
    """The error names the file, and the line if possible."""
    for name, text in files.items():
        (root / name).write_text(text)
    with pytest.raises(DatasetError, match=words):
        read_dataset(root / target)


def test_a_caption_file_alone_needs_no_pictures(root: Path) -> None:
    """For `crosslook index --captions`, which has the pictures already."""
    (root / "captions.txt").write_text("image,caption\nx.jpg,Something\n")
    captions = read_captions(root / "captions.txt")
    assert [(row.image, row.caption, row.line) for row in captions.entries] == [("x.jpg", "Something", 2)]


def test_a_caption_file_that_cannot_be_read_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the system refuses it while its kind is determined."""
    (root / "captions.txt").write_text("image,caption\nx.jpg,Something\n")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DatasetError, match=r"captions\.txt cannot be read: Permission denied"):
        read_captions(root / "captions.txt")


def test_a_tenth_held_out_is_disjoint_and_repeatable() -> None:
    """For datasets without splits; datasets with too few pictures are refused."""
    dataset = Dataset("d", tuple(Example(Path(f"{i}.jpg"), ("x",), "all") for i in range(50)))
    training, held_out = dataset.hold_out(0.1, seed=3)
    assert (len(training.examples), len(held_out.examples)) == (45, 5)
    assert not {e.image for e in training.examples} & {e.image for e in held_out.examples}
    assert dataset.hold_out(0.1, seed=3)[1] == held_out
    assert dataset.hold_out(0.1, seed=4)[1] != held_out
    with pytest.raises(DatasetError, match="training and validation need four"):
        Dataset("d", dataset.examples[:3]).hold_out(0.1, seed=0)


DEEP = "[" * 100_000 + "]" * 100_000
DIGITS = "7" * 5_000


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (
            r'{"image": "1.jpg", "caption": "a dog \ud83d"}',
            r"half a character ('\ud83d', one half of a surrogate pair)",
        ),
        (r'{"image": "1\ude00.jpg", "caption": "a dog"}', "half a character"),
        (r'{"image": "1.jpg", "caption": "a dog", "split": "\ud83d"}', "half a character"),
        (r'{"image": "1.jpg", "captions": ["fine", "a dog \ud83d"]}', "half a character"),
        (f'{{"image": "1.jpg", "caption": {DIGITS}}}', "cannot be read as JSON: a number has too many digits"),
        (f'{{"image": "1.jpg", "caption": {DEEP}}}', "cannot be read as JSON: nested too deeply"),
        ('{"image": "1.jpg", "caption": "a dog", "split": [1]}', "split: expected text, not list"),
        ('{"image": ".", "caption": "a dog"}', "no image name"),
        ('{"image": "/", "caption": "a dog"}', "no image name"),
    ],
)
def test_unusable_json_lines_are_refused_one_by_one(root: Path, row: str, reason: str) -> None:
    """Half an emoji, a number beyond the limit of `int`, deep nesting: the next line is still read."""
    (root / "a.jsonl").write_text(f'{row}\n{{"image": "2.jpg", "caption": "a cat"}}\n')
    captions = read_captions(root / "a.jsonl")
    assert [(r.image, r.caption) for r in captions.entries if r.caption != "fine"] == [("2.jpg", "a cat")]
    (refused,) = captions.rejected
    assert refused.line == 1
    assert refused.reason.startswith(reason)
    str(refused).encode()  # must be printable
    assert "2.jpg" in shape(read_dataset(root))


@pytest.mark.parametrize("caption", [r'"a dog \ud83d"', "null", "{}", "[1]", "true"])
def test_unusable_captions_in_documents_are_refused_one_by_one(root: Path, caption: str) -> None:
    """In Karpathy's layout and in COCO's; null does not become the caption "None"."""
    karpathy = (
        '{"images": [{"filename": "1.jpg", "sentences": [{"raw": CAPTION}]},'
        ' {"filename": "2.jpg", "sentences": [{"raw": "a cat"}]}]}'
    )
    coco = (
        '{"images": [{"id": 1, "file_name": "1.jpg"}, {"id": 2, "file_name": "2.jpg"}], "annotations":'
        ' [{"image_id": 1, "caption": CAPTION}, {"image_id": 2, "caption": "a cat"}]}'
    )
    for text in (karpathy, coco):
        (root / "a.json").write_text(text.replace("CAPTION", caption))
        captions = read_captions(root / "a.json")
        assert [(r.image, r.caption) for r in captions.entries] == [("2.jpg", "a cat")]
        assert len(captions.rejected) == 1
        str(captions.rejected[0]).encode()
        assert shape(read_dataset(root)) == {"2.jpg": ("a cat",)}


@pytest.mark.parametrize(("value", "reason"), [(DIGITS, "a number has too many digits"), (DEEP, "nested too deeply")])
def test_a_document_that_python_cannot_parse_is_named(root: Path, value: str, reason: str) -> None:
    """It has no rows to refuse one by one, so the whole file is refused."""
    (root / "a.json").write_text(f'{{"images": [{{"filename": "1.jpg", "sentences": [{{"raw": {value}}}]}}]}}')
    for read in (read_captions, read_dataset):
        with pytest.raises(DatasetError, match=rf"a\.json cannot be read as JSON: {reason}"):
            read(root / "a.json")


SEPARATORS = "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e"
"""Characters at which `str.splitlines` splits, but the readers do not."""


@pytest.mark.parametrize("separator", SEPARATORS)
def test_captions_are_split_at_newlines_only(root: Path, separator: str) -> None:
    """In all layouts; within a caption other separators become a space."""
    caption = f"a dog{separator}in the snow"
    files = {
        "captions.txt": f"1.jpg#0\t{caption}\r\n2.jpg#0\ta cat\n",
        "results.csv": f"1.jpg| 0| {caption}\n2.jpg| 0| a cat\n",
        "a.csv": f"image,caption\n1.jpg,{caption}\n2.jpg,a cat\n",
        "a.jsonl": json.dumps({"image": "1.jpg", "caption": caption}, ensure_ascii=False)
        + '\n{"image": "2.jpg", "caption": "a cat"}',
    }
    for name, text in files.items():
        (root / name).write_text(text, newline="")
        captions = read_captions(root / name)
        assert [(r.image, r.caption) for r in captions.entries] == [("1.jpg", "a dog in the snow"), ("2.jpg", "a cat")]
        assert not captions.rejected
        (root / name).unlink()
    (root / "images" / "1.txt").write_text(f"{caption}\ra cat\r\n", newline="")
    assert shape(read_dataset(root / "images")) == {"1.jpg": ("a dog in the snow", "a cat")}


@given(st.lists(st.binary(max_size=60), max_size=8), st.sampled_from(["t.csv", "t.tsv", "t.jsonl"]))
def test_any_bytes_are_read_or_refused_row_by_row(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], name: str
) -> None:
    """No input makes the reader fail, and every usable row has an image and a caption."""
    path = tmp_path_factory.mktemp("tables") / name
    path.write_bytes(b"\n".join(lines))
    captions = collect(path, table_rows(path))
    for row in captions.entries:
        assert row.image
        assert row.caption
        (row.image + row.caption).encode("utf-8")
    assert all(r.line is not None for r in captions.rejected)
