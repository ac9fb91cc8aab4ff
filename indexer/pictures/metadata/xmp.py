"""XMP packets as properties.

Source: XMP specification, part 1 (ISO 16684-1), data model and serialisation. Properties are attributes or elements,
structures are nested descriptions, and lists are bags, sequences or alternatives.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import TypeAlias

from encoders.datasets import decode_text

MAX_PACKET = 131_072
"""Maximum bytes of a picture's packet that are read: twice what fits into a segment of a JPEG."""

MAX_DEPTH = 20
"""Maximum depth of structures and lists."""

Value: TypeAlias = "str | list[Value] | dict[str, list[Value]]"
"""A text, a list, or a structure: values by `{namespace}name`."""

Properties: TypeAlias = dict[str, list[Value]]

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_XML = "{http://www.w3.org/XML/1998/namespace}"
_LISTS = frozenset({f"{_RDF}Bag", f"{_RDF}Seq", f"{_RDF}Alt"})
_START = re.compile(r"<(?:[\w.-]+:)?(?:xmpmeta|xapmeta|RDF)\b")
_DECLARATION = re.compile(rb"""\s*(?:<\?xpacket[^>]*>\s*)?<\?xml[^>]{1,60}encoding=["']([\w.-]{1,40})["']""")
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


class Packet:
    """The properties of a packet up to its first fault, and the fault.

    Args:
        data: the packet; padding and a wrapper around it are ignored.
        limit: maximum bytes that are read.
    """

    def __init__(self, data: bytes | str, limit: int = MAX_PACKET) -> None:
        self.properties: Properties = {}
        self.fault: str | None = None
        if len(data) > limit:
            self.fault = f"only its first {limit:,} bytes were read"
        root = self._parse(data[:limit] if isinstance(data, str) else _decode(data[:limit]))
        for description in () if root is None else _descriptions(root):
            for name, values in _structure(description, MAX_DEPTH).items():
                self.properties.setdefault(name, []).extend(values)

    def _parse(self, text: str) -> ET.Element | None:
        found = _START.search(text)
        if found is None:
            self.fault = "it has no RDF" if text.strip("\0 \r\n\t") else "it is empty"
            return None
        if "<!DOCTYPE" in text:  # without one, XML has no entities: no expansion to gigabytes, no other files
            self.fault = "it has a DOCTYPE, which XMP has not"
            return None
        text, foreign = re.subn("[\ud800-\udfff]+", "\ufffd", text[found.start() : text.rfind(">") + 1])
        if foreign:
            self.fault = "some of its text is not UTF-8"
        builder = ET.TreeBuilder()  # apart from the parser, because it keeps what precedes a fault
        parser = ET.XMLParser(target=builder)  # noqa: S314  see DOCTYPE; three times as fast as defusedxml
        try:
            parser.feed(_NOT_XML.sub("", text))
            parser.close()
        except (ET.ParseError, ValueError) as exc:
            self.fault = self.fault or f"it is damaged: {exc}"
        return builder.close()


def _decode(data: bytes) -> str:
    """Decode a packet; bytes in another encoding than Unicode's become surrogates, unless it declares that encoding."""
    text = decode_text(data)
    declared = _DECLARATION.match(data)
    if declared is not None and re.search("[\udc80-\udcff]", text):
        try:
            return data.decode(declared[1].decode("ascii"))
        except (LookupError, UnicodeError):
            pass
    return text


def _descriptions(root: ET.Element) -> Iterator[ET.Element]:
    for rdf in root.iter(f"{_RDF}RDF"):
        yield from rdf


def _structure(element: ET.Element, depth: int) -> Properties:
    """The properties of a description, from its attributes and elements."""
    found: Properties = {
        n: [text] for n, text in element.attrib.items() if not n.startswith((_RDF, _XML)) and n[:1] == "{"
    }
    for child in element:
        found.setdefault(child.tag, []).append(_value(child, depth - 1))
    return found


def _value(element: ET.Element, depth: int) -> Value:
    """The value of a property or of an item of a list."""
    if depth <= 0:
        return ""
    first = element[0] if len(element) else None
    if first is not None and first.tag in _LISTS:
        items = [(item.get(f"{_XML}lang", ""), _value(item, depth - 1)) for item in first]
        return [value for _, value in sorted(items, key=lambda item: item[0] != "x-default")]
    if first is not None and first.tag == f"{_RDF}Description" and len(element) == 1:
        element = first
    structure = _structure(element, depth)
    if not structure:
        return element.text or ""
    qualified = structure.get(f"{_RDF}value")  # a value with qualifiers
    return qualified[0] if qualified else structure
