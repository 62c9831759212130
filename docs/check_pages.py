"""Check built pages: each link, anchor, picture, script and style that they name is there.

``make docs`` runs it after Sphinx, which itself warns of roles it cannot resolve, but not of plain
links, nor of anchors in pages that it did not write::

    python docs/check_pages.py docs/_build/html

Addresses of other sites are not visited: ``make linkcheck`` does that.
"""

import argparse
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

ATTRIBUTES = {"a": "href", "img": "src", "link": "href", "script": "src", "source": "src"}


class Page(NamedTuple):
    """What a page names, and what can be named in it."""

    links: list
    anchors: set
    duplicates: list
    images_without_text: list


class Reader(HTMLParser):
    """Collect links, anchors and pictures of a page."""

    def __init__(self):
        super().__init__()
        self.page = Page([], set(), [], [])

    def handle_starttag(self, tag, attrs):
        """Take in an element."""
        attrs = dict(attrs)
        address = attrs.get(ATTRIBUTES.get(tag))
        if address is not None:
            self.page.links.append((address, self.getpos()[0]))
        for name in {attrs.get("id"), attrs.get("name") if tag == "a" else None} - {None}:
            if name in self.page.anchors:
                self.page.duplicates.append((name, self.getpos()[0]))
            self.page.anchors.add(name)
        if tag == "img" and "alt" not in attrs:
            self.page.images_without_text.append((attrs.get("src"), self.getpos()[0]))


def read(path):
    """Return what a page holds."""
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader.page


def faults(root):
    """Return sentences, one for each fault of the pages below a folder.

    Parameters
    ----------
    root : Path
        Where ``index.html`` is.
    """
    root = root.resolve()
    # The theme keeps templates among its static files.
    files = [path for path in sorted(root.rglob("*.html")) if "_static" not in path.parts]
    pages = {path: read(path) for path in files}
    found = [] if root / "index.html" in pages else [f"{root} has no index.html"]
    for path, page in pages.items():
        where = path.relative_to(root)
        for address, line in page.links:
            reason = broken(address, path, root, pages)
            if reason:
                found.append(f"{where}:{line} {address!r}: {reason}")
        for name, line in page.duplicates:
            found.append(f"{where}:{line} id {name!r} occurs twice")
        for source, line in page.images_without_text:
            found.append(f"{where}:{line} picture {source!r} has no alternative text")
    return found


def broken(address, path, root, pages):
    """Return why an address leads nowhere, or None."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return None  # elsewhere, or data
    if parts.path.startswith("/"):
        return "absolute: it breaks where the pages are not at the root of a site"
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target.is_dir():
        target /= "index.html"
    if not target.is_relative_to(root):
        return "outside the pages"
    if not target.is_file():
        return "no such file"
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].anchors:
        return "no such anchor"
    return None


def main():
    """Read the command line and print the faults."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="of the built pages")
    found = faults(parser.parse_args().folder)
    print(*found, sep="\n", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
