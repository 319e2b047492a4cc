"""A hook of mkdocs: writes llms.txt, a list of all pages with what each is about, and llms-full.txt, all their text.

The format is that of https://llmstxt.org; links are relative to the site, wherever it is served.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.nav import Navigation
    from mkdocs.structure.pages import Page

_pages: list[Page] = []
_texts: dict[str, str] = {}


def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> None:
    """Remember the pages, in the order of the navigation."""
    _pages[:] = nav.pages


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> None:
    """Remember the text of a page, without what is only for tests."""
    _texts[page.file.src_uri] = re.sub(r"<!--.*?-->\n?", "", markdown, flags=re.DOTALL).strip()


def on_post_build(config: MkDocsConfig) -> None:
    """Write both files."""
    site = Path(config.site_dir)
    (site / "llms.txt").write_text(_listed(config), encoding="utf-8")
    full = (f"<!-- {page.url or 'index'} -->\n{_texts[page.file.src_uri]}\n" for page in _pages)
    (site / "llms-full.txt").write_text("\n".join(full), encoding="utf-8")


def _listed(config: MkDocsConfig) -> str:
    lines = [f"# {config.site_name}", "", f"> {config.site_description}"]
    section = None
    for page in _pages:
        parent = page.parent.title if page.parent else "Overview" if section in (None, "Overview") else "Further"
        if parent != section:
            section = parent
            lines += ["", f"## {section}", ""]
        about = _summary(_texts[page.file.src_uri])
        lines.append(f"- [{page.title}]({page.url or './'})" + (f": {about}" if about else ""))
    return "\n".join(lines) + "\n"


def _summary(markdown: str) -> str:
    """Return the first sentences of a page's prose, without links: as many as make 60 characters."""
    blocks = re.sub(r"^ *```.*?^ *```$", "", markdown, flags=re.MULTILINE | re.DOTALL).split("\n\n")
    prose = [" ".join(block.split()) for block in blocks if re.match(r"\s*(?!\d+\.)[\w`*\[]", block)]
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", " ".join(prose))
    summary = ""
    for sentence in re.split(r"(?<=[.])\s", text):
        if len(summary) >= 60:
            break
        summary = f"{summary} {sentence}".strip()
    return summary.rstrip(":")
