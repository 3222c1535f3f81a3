"""Pages of the site that are made from other files, the documents in the root, notebooks and docstrings; its menu."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from griffe import Extension, Object
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
FROM_THE_ROOT = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}
SHOWN = ("image/svg+xml", "image/png", "image/jpeg", "text/html", "text/plain")
"""What is shown of an output that comes in several forms: the first of these."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the decisions, newest first, into the menu."""
    newest_first = sorted((ROOT / "docs" / "decisions").glob("*.md"), reverse=True)
    (decisions,) = (entry for entry in config.nav if "Decisions" in entry)
    decisions["Decisions"] = ["decisions/index.md", *(f"decisions/{path.name}" for path in newest_first)]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made, and leave the notebooks themselves out."""
    made = {name: (ROOT / document).read_text() for document, name in FROM_THE_ROOT.items()}
    made["index.md"] = "---\nhide: [navigation]\n---\n" + made["index.md"]
    made["decisions/index.md"] = list_of_decisions()
    for notebook in (ROOT / "docs" / "tutorials").glob("*.ipynb"):
        made[f"tutorials/{notebook.stem}.md"] = page_of(json.loads(notebook.read_text())["cells"])
        files.remove(files.src_uris[f"tutorials/{notebook.name}"])
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Links as they are on GitHub -> links of the site."""
    for document, name in FROM_THE_ROOT.items():
        markdown = markdown.replace(f"]({document}", f"]({name}")
    return re.sub(r"\]\((?:docs/)?((?!http)[^)]*?)\.ipynb\)", r"](\1.md)", markdown).replace("](docs/", "](")


class Examples(Extension):
    """Examples in docstrings, lines from `>>>` to an empty one, become blocks of code."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Alter the docstring of one function, class or module."""
        if obj.docstring:
            block = r"^>>> (?:.+\n?)+"
            obj.docstring.value = re.sub(block, r"```pycon\n\g<0>\n```\n", obj.docstring.value, flags=re.M)


def list_of_decisions() -> str:
    """A page with the titles of all decisions."""
    lines = ["# Decisions", "", "Why it is as it is, newest first.", ""]
    for path in sorted((ROOT / "docs" / "decisions").glob("*.md"), reverse=True):
        title = path.read_text().splitlines()[0].removeprefix("# ")
        lines.append(f"- [{title}]({path.name})")
    return "\n".join(lines)


def page_of(cells: list[dict[str, Any]]) -> str:
    """A notebook's cells, with their outputs as they are stored, as one Markdown page."""
    parts = []
    for cell in cells:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        parts += [shown(output) for output in cell.get("outputs", [])]
    return "\n\n".join(parts)


def shown(output: dict[str, Any]) -> str:
    """One output as Markdown: a picture, a piece of HTML, or text."""
    if "text" in output:
        return f"```{{.text .output}}\n{''.join(output['text']).rstrip()}\n```"
    kind = next(kind for kind in SHOWN if kind in output["data"])
    data = output["data"][kind]
    text = data if isinstance(data, str) else "".join(data)
    if kind in ("image/png", "image/jpeg"):
        return f"![The picture that the code shows](data:{kind};base64,{text.strip()}){{.output}}"
    if kind == "text/plain":
        return f"```{{.text .output}}\n{text.rstrip()}\n```"
    return '<div class="output">' + "".join(line for line in text.splitlines(keepends=True) if line.strip()) + "</div>"
