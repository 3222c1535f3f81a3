"""A model card for the page: Markdown -> HTML, with tags in it shown as text."""

from __future__ import annotations

import re


def card_as_html(markdown: str) -> str:
    """The card without its block of metadata; its headings stand below those of the page."""
    from markdown_it import MarkdownIt

    text = re.sub(r"\A---\n.*?\n---\n", "", markdown, flags=re.DOTALL)
    text = re.sub(r"^(#+) ", r"##\1 ", text, flags=re.MULTILINE)
    html: str = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    return html
