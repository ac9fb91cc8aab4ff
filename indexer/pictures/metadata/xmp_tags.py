"""The XMP properties that say something about a picture.

Sources: XMP specification, part 2 (Dublin Core, XMP, EXIF, TIFF, Photoshop); IPTC Photo Metadata Standard; Metadata
Working Group, Guidelines for Handling Image Metadata 2.0 (regions); Microsoft's People Tagging; digiKam and Lightroom.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .positions import coordinate, position
from .tags import Tags, camera_name
from .xmp import Properties, Value

_NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "exifEX": "http://cipa.jp/exif/1.0/",
    "aux": "http://ns.adobe.com/exif/1.0/aux/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "core": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "ext": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "mediapro": "http://ns.iview-multimedia.com/mediapro/1.0/",
    "mwg": "http://www.metadataworkinggroup.com/schemas/regions/",
    "ms": "http://ns.microsoft.com/photo/1.0/",
    "ms0": "http://ns.microsoft.com/photo/1.0",
    "mp": "http://ns.microsoft.com/photo/1.2/",
    "mpri": "http://ns.microsoft.com/photo/1.2/t/RegionInfo#",
    "mpreg": "http://ns.microsoft.com/photo/1.2/t/Region#",
}


def _named(*names: str) -> tuple[str, ...]:
    """Names such as `dc:title` as `{namespace}title`."""
    pairs = (name.split(":") for name in names)
    return tuple(f"{{{_NAMESPACES[prefix]}}}{local}" for prefix, local in pairs)


_TEXTS = {
    "title": _named("dc:title", "photoshop:Headline"),
    "description": _named(
        "dc:description",
        "exif:UserComment",
        "tiff:ImageDescription",
        "core:ExtDescrAccessibility",
        "core:AltTextAccessibility",
    ),
    "creator": _named("dc:creator", "tiff:Artist"),
    "copyright": _named("dc:rights", "tiff:Copyright"),
    "lens": _named("exifEX:LensModel", "aux:Lens"),
    "rating": _named("xmp:Rating"),
    "keywords": _named("dc:subject"),
    "persons": _named("ext:PersonInImage"),
    "places": _named("core:Location", "photoshop:City", "photoshop:State", "photoshop:Country"),
    "original": _named("exif:DateTimeOriginal", "photoshop:DateCreated"),
    "digitized": _named("exif:DateTimeDigitized", "xmp:CreateDate"),
    "modified": _named("tiff:DateTime", "xmp:ModifyDate"),
}
_HIERARCHIES = dict(
    zip(
        _named(
            "lr:hierarchicalSubject",
            "mediapro:CatalogSets",
            "digiKam:TagsList",
            "ms:LastKeywordXMP",
            "ms0:LastKeywordXMP",
        ),
        "||///",
        strict=True,
    )
)
"""Properties whose values are paths in a tree of keywords, and what separates the steps."""

_PLACES = _named("ext:LocationShown", "ext:LocationCreated")
_PARTS_OF_PLACES = _named("ext:Sublocation", "ext:LocationName", "ext:City", "ext:ProvinceState", "ext:CountryName")
_PERSONS = _named("ext:PersonInImageWDetails")
_PERSON = _named("ext:PersonName")
_REGIONS, _REGION_LIST, _REGION_NAME, _REGION_TYPE = _named("mwg:Regions", "mwg:RegionList", "mwg:Name", "mwg:Type")
_MS_INFO, _MS_REGIONS, _MS_NAME = _named("mp:RegionInfo", "mpri:Regions", "mpreg:PersonDisplayName")
_LATITUDE, _LONGITUDE, _STATUS = _named("exif:GPSLatitude", "exif:GPSLongitude", "exif:GPSStatus")
_LATITUDE_REF, _LONGITUDE_REF = _named("exif:GPSLatitudeRef", "exif:GPSLongitudeRef")
_MAKE, _MODEL = _named("tiff:Make", "tiff:Model")


def read_xmp(properties: Properties) -> Tags:
    """Read what the properties of a packet say."""
    tags = Tags()
    for name, properties_of_name in _TEXTS.items():
        for key in properties_of_name:
            tags.add(name, *_texts(properties.get(key, ())))
    for key, separator in _HIERARCHIES.items():
        for path in _texts(properties.get(key, ())):
            if not path.startswith("_Digikam_"):  # its own states, such as colour labels
                tags.add("keywords", *path.split(separator))
    for key in _PLACES:
        tags.add("places", *_members(properties.get(key, ()), _PARTS_OF_PLACES))
    for key in _PERSONS:
        tags.add("persons", *_members(properties.get(key, ()), _PERSON))
    _read_regions(properties, tags)
    tags.add("camera", camera_name(_first(properties, _MAKE), _first(properties, _MODEL)))
    tags.position = position(
        coordinate(_first(properties, _LATITUDE), _first(properties, _LATITUDE_REF)),
        coordinate(_first(properties, _LONGITUDE), _first(properties, _LONGITUDE_REF)),
        _first(properties, _STATUS),
    )
    return tags


def _read_regions(properties: Properties, tags: Tags) -> None:
    """Read the names of regions: those of faces are persons, others, such as pets, are keywords."""
    for region in _structures(_below(properties, _REGIONS, _REGION_LIST)):
        kind = _first(region, _REGION_TYPE).lower()
        tags.add("persons" if kind in ("face", "") else "keywords", *_texts(region.get(_REGION_NAME, ())))
    for region in _structures(_below(properties, _MS_INFO, _MS_REGIONS)):
        tags.add("persons", *_texts(region.get(_MS_NAME, ())))


def _below(properties: Properties, name: str, inner: str) -> Iterator[Value]:
    for structure in _structures(properties.get(name, ())):
        yield from structure.get(inner, ())


def _structures(values: Iterable[Value]) -> Iterator[Properties]:
    """The structures among values, and in lists among them."""
    for value in values:
        if isinstance(value, dict):
            yield value
        elif isinstance(value, list):
            yield from _structures(value)


def _texts(values: Iterable[Value]) -> Iterator[str]:
    """The texts among values, and in lists among them."""
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from _texts(value)


def _members(values: Iterable[Value], names: Iterable[str]) -> Iterator[str]:
    """The texts of some members of structures."""
    for structure in _structures(values):
        for name in names:
            yield from _texts(structure.get(name, ()))


def _first(properties: Properties, name: str) -> str:
    return next(_texts(properties.get(name, ())), "")
