"""XMP packets, and the properties in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import PngImagePlugin

from indexer.pictures.metadata.xmp import MAX_PACKET, Packet
from indexer.pictures.metadata.xmp_tags import read_xmp

from .samples import NAMESPACES, bag, encoded, jpeg, metadata, segment, xmp

SUBJECT = f"{{{NAMESPACES['dc']}}}subject"
GOOD = xmp(bag("dc:subject", "Käthe", "garden"))
LATIN = GOOD[GOOD.index("<x:xmpmeta") :].encode("latin-1")


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "HEIF", "AVIF", "TIFF", "PNG"])
def test_every_format_gives_its_packet(kind: str) -> None:
    """Wherever it is kept."""
    options = {"xmp": GOOD.encode()}
    if kind == "TIFF":
        options = {"tiffinfo": {700: GOOD.encode()}}  # type: ignore[dict-item]
    if kind == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", GOOD)
        options = {"pnginfo": info}  # type: ignore[dict-item]
    assert metadata(encoded(kind, **options)).words.keywords == ("Käthe", "garden")


def test_an_extension_is_read_with_its_packet() -> None:
    """A JPEG has large packets in several segments, in any order; those with another name are not its own."""
    name = b"0123456789ABCDEF" * 2
    packet = xmp(attributes=f'xmpNote:HasExtendedXMP="{name.decode()}" xmp:Rating="3"').encode()
    extension = xmp(bag("dc:subject", *(f"keyword {i}" for i in range(50)))).encode()
    header = b"http://ns.adobe.com/xmp/extension/\0"
    parts = [
        segment(0xE1, header + guid + len(extension).to_bytes(4) + at.to_bytes(4) + extension[at : at + 1000])
        for guid, at in ((b"F" * 32, 0), *((name, at) for at in reversed(range(0, len(extension), 1000))))
    ]
    words = metadata(jpeg(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet), *parts)).words
    assert (len(words.keywords), words.rating, words.notes) == (50, 3, ())


def test_languages() -> None:
    """The default language is the title or description, the others are further texts."""
    items = '<rdf:li xml:lang="de">Hund</rdf:li><rdf:li xml:lang="x-default">Dog</rdf:li>'
    title = f"<dc:title><rdf:Alt>{items}</rdf:Alt></dc:title>"
    words = metadata(jpeg(xmp=xmp(title).encode())).words
    assert (words.title, words.texts) == ("Dog", ("Hund",))


def test_keywords_of_several_programs() -> None:
    """Paths are split into their steps, digiKam's own states are none."""
    inner = (
        bag("dc:subject", "dog")
        + bag("lr:hierarchicalSubject", "Animals|Dog", "Places|Rome")
        + bag("digiKam:TagsList", "People/Wilhelmina", "_Digikam_Internal_Tags_/Color Label Red", kind="Seq")
        + bag("MicrosoftPhoto:LastKeywordXMP", "Snow")
    )
    assert metadata(jpeg(xmp=xmp(inner).encode())).words.keywords == (
        "dog",
        "Animals",
        "Places",
        "Rome",
        "People",
        "Wilhelmina",
        "Snow",
    )


MWG = (
    '<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag>'
    '<rdf:li rdf:parseType="Resource"><mwg-rs:Name>Wilhelmina</mwg-rs:Name><mwg-rs:Type>Face</mwg-rs:Type>'
    "</rdf:li>"
    '<rdf:li><rdf:Description mwg-rs:Name="Ottokar" mwg-rs:Type="Face"><mwg-rs:Area xmlns:a="urn:a" a:x="0.5"/>'
    "</rdf:Description></rdf:li>"
    '<rdf:li mwg-rs:Name="Rex" mwg-rs:Type="Pet"/><rdf:li mwg-rs:Type="Face"/>'
    "</rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>"
)
MICROSOFT = (
    "<MP:RegionInfo><rdf:Description><MPRI:Regions><rdf:Bag>"
    '<rdf:li MPReg:Rectangle="0.1, 0.1, 0.2, 0.2" MPReg:PersonDisplayName="Käthe"/>'
    "<rdf:li><rdf:Description><MPReg:PersonDisplayName>Wilhelmina</MPReg:PersonDisplayName></rdf:Description></rdf:li>"
    "</rdf:Bag></MPRI:Regions></rdf:Description></MP:RegionInfo>"
)


def test_persons_are_named_in_regions_and_lists() -> None:
    """Of the Metadata Working Group, Microsoft and the IPTC, each once; other regions are keywords."""
    details = (
        '<Iptc4xmpExt:PersonInImageWDetails><rdf:Bag><rdf:li rdf:parseType="Resource"><Iptc4xmpExt:PersonName><rdf:Alt>'
        '<rdf:li xml:lang="x-default">Emil</rdf:li></rdf:Alt></Iptc4xmpExt:PersonName></rdf:li></rdf:Bag>'
        "</Iptc4xmpExt:PersonInImageWDetails>"
    )
    words = metadata(jpeg(xmp=xmp(MWG + MICROSOFT + bag("Iptc4xmpExt:PersonInImage", "Ida") + details).encode())).words
    assert sorted(words.persons) == ["Emil", "Ida", "Käthe", "Ottokar", "Wilhelmina"]
    assert words.keywords == ("Rex",)


def test_facts_and_places() -> None:
    """Date, position, camera, lens, rating and places, as attributes or elements."""
    location = '<rdf:Bag><rdf:li Iptc4xmpExt:City="Milan" Iptc4xmpExt:CountryName="Italy"/></rdf:Bag>'
    attributes = (
        'exif:DateTimeOriginal="2021-05-04T10:11:12+02:00" xmp:CreateDate="2022-01-01T00:00:00" tiff:Make="Leitz" '
        'exif:GPSLatitude="33,51.0S" exif:GPSLongitude="151,12,0E" aux:Lens="Summicron" photoshop:City="Rome"'
    )
    inner = f"<Iptc4xmpExt:LocationShown>{location}</Iptc4xmpExt:LocationShown>"
    inner += "<tiff:Model>M3</tiff:Model><Iptc4xmpCore:Location>Forum</Iptc4xmpCore:Location>"
    found = metadata(jpeg(xmp=xmp(inner, attributes).encode()))
    assert (found.taken_at, found.latitude, found.longitude) == ("2021-05-04T10:11:12", -33.85, 151.2)
    assert (found.camera, found.words.lens) == ("Leitz M3", "Summicron")
    assert found.words.places == ("Forum", "Rome", "Milan", "Italy")


@pytest.mark.parametrize(
    ("rating", "expected"), [("-1", -1), ("0", None), ("3", 3), ("5.0", 5), ("7", None), ("nan", None), ("good", None)]
)
def test_ratings(rating: str, expected: int | None) -> None:
    """0 is none, and -1 a rejected picture."""
    assert metadata(jpeg(xmp=xmp(attributes=f'xmp:Rating="{rating}"').encode())).words.rating == expected


def test_the_properties_of_ingredients_are_not_the_pictures() -> None:
    """A collage keeps the packets of its parts inside its own."""
    part = "<rdf:li><rdf:Description><dc:title>A part</dc:title></rdf:Description></rdf:li>"
    pantry = f"<xmpMM:Pantry><rdf:Bag>{part}</rdf:Bag></xmpMM:Pantry>"
    assert metadata(jpeg(xmp=xmp(pantry).encode())).words.title is None


@pytest.mark.parametrize(
    ("data", "keywords"),
    [
        (GOOD.encode("utf-16"), ["Käthe", "garden"]),
        (GOOD.encode("utf-16-le"), ["Käthe", "garden"]),
        (GOOD.encode("utf-16-be"), ["Käthe", "garden"]),
        (b'<?xml version="1.0" encoding="ISO-8859-1"?>' + LATIN, ["Käthe", "garden"]),
        (GOOD.encode() + bytes(3_000), ["Käthe", "garden"]),
        (GOOD.replace("garden", "gar\x0bden").encode(), ["Käthe", "garden"]),
        (b"\0\0" + GOOD.encode(), ["Käthe", "garden"]),
    ],
)
def test_encodings_and_wrappings(data: bytes, keywords: list[str]) -> None:
    """UTF-16 with and without its mark, a declared encoding, padding, and control characters."""
    packet = Packet(data)
    assert read_xmp(packet.properties).values["keywords"] == keywords
    assert packet.fault is None


@pytest.mark.parametrize(
    ("data", "keywords", "fault"),
    [
        (GOOD[: GOOD.index("garden") + 3].encode(), ("Käthe",), "it is damaged: no element found"),
        (GOOD.replace("</rdf:Bag>", "</rdf:Bog>").encode(), ("Käthe", "garden"), "it is damaged: mismatched tag"),
        (GOOD.replace("Käthe", "K\xe4the").encode("latin-1", "ignore"), ("garden",), "some of its text is not UTF-8"),
        (b"no XMP", (), "it has no RDF"),
        (b"  \0", (), "it is empty"),
        (GOOD.replace("<rdf:RDF", '<!DOCTYPE x [<!ENTITY a "aaaa">]><rdf:RDF').encode(), (), "it has a DOCTYPE"),
        (GOOD.replace("garden", "&nbsp;").encode(), ("Käthe",), "it is damaged: undefined entity"),
        (
            GOOD.replace(" " * 200, " " * MAX_PACKET).encode(),
            ("Käthe", "garden"),
            "only its first 131,072 bytes were read",
        ),
    ],
)
def test_what_precedes_a_fault_is_kept(data: bytes, keywords: tuple[str, ...], fault: str) -> None:
    """And a note says what the fault is."""
    words = metadata(encoded("WEBP", xmp=data)).words
    assert words.keywords == keywords
    assert len(words.notes) == 1
    assert words.notes[0].startswith(f"its XMP could not be read in full: {fault}")


def test_deep_nesting_is_cut_off() -> None:
    """Whatever the depth."""
    deep = xmp("<dc:x>" * 5_000 + "</dc:x>" * 5_000 + bag("dc:subject", "garden"))
    assert metadata(jpeg(xmp=deep[-65_000:].encode())).words.title is None
    assert Packet(deep).properties[SUBJECT] == [["garden"]]


@given(st.integers(0, len(GOOD) - 1), st.binary(max_size=5), st.integers(0, 20))
def test_any_damage_is_survived(at: int, insertion: bytes, removed: int) -> None:
    """Bytes inserted and removed at any place."""
    data = GOOD.encode()
    packet = Packet(data[:at] + insertion + data[at + removed :])
    assert set(read_xmp(packet.properties).values) >= {"keywords", "title"} or packet.fault
