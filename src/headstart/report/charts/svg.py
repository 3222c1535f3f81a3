"""Matplotlib's SVG made fit for a page: text in its font, colours as its variables, and a fraction of the size."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence

from headstart.report.charts.style import LIGHT

SVG, XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
FAMILY = "'DejaVu Sans', Verdana, 'Liberation Sans', Arial, sans-serif"
NAMES = {value: name for name, value in LIGHT.items()}
Told = Mapping[str, Sequence[str]]


def inline(drawn: bytes, told: Told, words: str) -> str:
    """An `svg` element for an HTML page, as wide as its place; `words` are read out in place of it."""
    root = _tidy(drawn, told)
    for node in root.iter():
        node.tag = node.tag.removeprefix(SVG)
        if href := node.attrib.pop(f"{XLINK}href", None):
            node.set("href", href)
        if "style" in node.attrib:
            node.set("style", re.sub(r"#[0-9a-f]{6}", _variable, node.attrib["style"]))
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.attrib |= {"role": "img", "aria-label": words}
    return ET.tostring(root, encoding="unicode")


def standing(drawn: bytes, told: Told, words: str) -> str:
    """An SVG file that needs no page."""
    root = _tidy(drawn, told)
    root.set("style", f"stroke-linejoin:round;font-family:{FAMILY}")
    title = ET.Element(f"{SVG}title")
    title.text = words
    root.insert(0, title)
    ET.register_namespace("", SVG[1:-1])
    ET.register_namespace("xlink", XLINK[1:-1])
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _variable(found: re.Match[str]) -> str:
    name = NAMES.get(found[0])
    return f"var(--{name})" if name else found[0]


def _tidy(drawn: bytes, told: Told) -> ET.Element:
    """The drawing without metadata, empty groups, names of fonts, ids that nothing points to; with words in place."""
    root = ET.fromstring(drawn)
    for gid, words in told.items():
        group = next((node for node in root.iter() if node.get("id") == gid), None)
        if group is not None:
            _tell(group, words)
    used = set(re.findall(rb"#(\w+)", drawn))
    _prune(root, {each.decode() for each in used})
    for node in root.iter():
        node.text = (node.text or "").strip() or None
        node.tail = None
        for key in ("d", "x", "y", "transform", "viewBox", "width", "height"):
            if key in node.attrib:
                node.set(key, _short(node.attrib[key]))
        if node.get("transform", "").startswith("rotate(-0"):
            del node.attrib["transform"]
        if "style" in node.attrib:
            node.set("style", _plain(node.attrib["style"]))
    return root


def _tell(group: ET.Element, words: Sequence[str]) -> None:
    """Titles for the markers of a group, or one for all of it."""
    marks = list(group.iter(f"{SVG}use"))
    for node, text in zip(marks if len(marks) == len(words) else [group], words, strict=False):
        title = ET.Element(f"{SVG}title")
        title.text = text
        node.insert(0, title)


def _prune(node: ET.Element, used: set[str]) -> None:
    for child in list(node):
        _prune(child, used)
        if child.get("id") not in used:
            child.attrib.pop("id", None)
        tag = child.tag.removeprefix(SVG)
        if (
            tag in ("metadata", "style")
            or (tag in ("g", "defs") and not len(child))
            or child.get("style") == "fill: none"
        ):
            node.remove(child)
        elif tag == "g" and not child.attrib:
            place = list(node).index(child)
            node[place : place + 1] = list(child)


def _short(text: str) -> str:
    """Numbers to a hundredth, on one line, without spaces that mean nothing."""
    text = re.sub(r"\d+\.\d{2,}", lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), text)
    return re.sub(r"\s*\b([A-Za-z])\s+", r"\1", re.sub(r"\s+", " ", text)).strip().removesuffix("pt")


def _plain(style: str) -> str:
    """A style without the names of fonts."""
    style = re.sub(r"font: (\w+) ([\d.]+px)[^;]*", r"font-size: \2; font-weight: \1", style)
    style = re.sub(r"font-family: [^;]*(; )?", "", style)
    return re.sub(r"\s*([:;])\s*", r"\1", style).strip(";")
