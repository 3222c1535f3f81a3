"""The documentation site: every public name has its place, and the site needs nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import headstart

ROOT = Path(__file__).parent.parent


def test_the_reference_has_every_public_name() -> None:
    listed = re.findall(r"^::: headstart\.(\w+)$", (ROOT / "docs" / "api.md").read_text(), re.M)
    assert set(headstart.__all__) <= set(listed)


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_or_a_network_and_asks_for_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    around = {**os.environ, **nowhere, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(build, cwd=ROOT, env=around, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
    pages = {str(page.relative_to(tmp_path)): page.read_text() for page in tmp_path.rglob("*.html")}
    assert {"index.html", "api/index.html", "contributing/index.html", "decisions/index.html"} <= pages.keys()
    assert sum(name.startswith("tutorials/") for name in pages) == 4
    loaded = r'<(?:script|img|iframe)[^>]*src="?https?://|<link[^>]*rel="?(?:stylesheet|preconnect|icon)[^>]*href="?https?://'
    assert [name for name, page in pages.items() if re.search(loaded, page)] == []
