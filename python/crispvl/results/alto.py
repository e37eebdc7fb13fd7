"""ALTO 4: a page's text as XML with the place of every block, line and word.

Source: the schema of version 4.4 (https://www.loc.gov/standards/alto/). Places are pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from crispvl._version import __version__
from crispvl.results.block_lines import (
    BlockLines,
    block_lines,
    box_of,
    numbered_pages,
    page_box,
)
from crispvl.results.lines import Line, Quad, Rectangle, is_upright
from crispvl.results.page import DocumentLike, Page

NAMESPACE = "http://www.loc.gov/standards/alto/ns-v4#"
_SCHEMA = "http://www.loc.gov/standards/alto/v4/alto-4-4.xsd"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"


def to_alto(documents: Sequence[DocumentLike]) -> str:
    """Returns a whole XML file, with a ``Page`` per page of all documents.

    Where the places of lines are not known, since a page was not read by lines, they have its box.
    """
    root = ET.Element(
        "alto",
        {
            "xmlns": NAMESPACE,
            "xmlns:xsi": _XSI,
            "xsi:schemaLocation": f"{NAMESPACE} {_SCHEMA}",
            "SCHEMAVERSION": "4.4",
        },
    )
    description = ET.SubElement(root, "Description")
    ET.SubElement(description, "MeasurementUnit").text = "pixel"
    image = ET.SubElement(description, "sourceImageInformation")
    ET.SubElement(image, "fileName").text = _printable(
        ", ".join(document.source for document in documents)
    )
    processing = ET.SubElement(description, "Processing", ID="OCR_1")
    software = ET.SubElement(processing, "processingSoftware")
    ET.SubElement(software, "softwareName").text = "crispvl"
    ET.SubElement(software, "softwareVersion").text = __version__
    layout = ET.SubElement(root, "Layout")
    for number, _, page in numbered_pages(documents):
        _add_page(layout, number, page)
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, "unicode") + "\n"


def _add_page(layout: ET.Element, page_number: int, page: Page) -> None:
    element = ET.SubElement(
        layout,
        "Page",
        ID=f"page_{page_number}",
        PHYSICAL_IMG_NR=str(page_number),
        HEIGHT=str(page.height_px),
        WIDTH=str(page.width_px),
    )
    space = ET.SubElement(element, "PrintSpace", _place(page_box(page)))
    for number, block in enumerate(block_lines(page), start=1):
        _add_block(space, page, f"{page_number}_{number}", block)


def _add_block(space: ET.Element, page: Page, name: str, block: BlockLines) -> None:
    element = ET.SubElement(space, "TextBlock", {"ID": f"block_{name}", **_place(block.box)})
    for number, line in enumerate(block.lines, start=1):
        _add_line(element, page, f"{name}_{number}", line)


def _add_line(block: ET.Element, page: Page, name: str, line: Line) -> None:
    place = _place(box_of(line, page))
    element = ET.SubElement(block, "TextLine", {"ID": f"line_{name}", **place})
    _add_shape(element, line.quad)
    for number, word in enumerate(line.words, start=1):
        if number > 1:
            ET.SubElement(element, "SP")
        string = ET.SubElement(
            element,
            "String",
            {
                "ID": f"word_{name}_{number}",
                **_place(box_of(word, page)),
                "CONTENT": _printable(word.text),
                "WC": f"{min(1.0, word.confidence):.4f}",
            },
        )
        _add_shape(string, word.quad)


def _add_shape(element: ET.Element, quad: Quad | None) -> None:
    if quad is None or is_upright(quad):
        return
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in quad)
    ET.SubElement(ET.SubElement(element, "Shape"), "Polygon", POINTS=points)


def _place(box: Rectangle) -> dict[str, str]:
    return {
        "HPOS": f"{box.left:.1f}",
        "VPOS": f"{box.top:.1f}",
        "WIDTH": f"{box.right - box.left:.1f}",
        "HEIGHT": f"{box.bottom - box.top:.1f}",
    }


def _printable(text: str) -> str:
    """Returns a text for XML, which has no place for control characters."""
    return "".join(c if c.isprintable() else " " for c in text)
