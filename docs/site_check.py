"""Refuses a site that fetches anything from elsewhere: `python docs/site_check.py out/site`."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

# What a browser fetches by itself; a link that a reader follows is none of it.
FETCHED = {"src", "srcset", "poster", "data"}
FETCHING_LINKS = {"stylesheet", "icon", "preload", "preconnect", "dns-prefetch", "modulepreload"}
IN_STYLES = re.compile(r"(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\"')]+)")


class Fetches(HTMLParser):
    """Addresses on other hosts that a page fetches."""

    def __init__(self) -> None:
        """Nothing found yet."""
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Looks at one element."""
        given = {name: value or "" for name, value in attrs}
        addresses = [value for name, value in given.items() if name in FETCHED]
        if tag == "link" and FETCHING_LINKS & set(given.get("rel", "").split()):
            addresses.append(given.get("href", ""))
        addresses += IN_STYLES.findall(given.get("style", ""))
        self.found += [a for a in addresses if re.match(r"(https?:)?//", a)]


def fetched(folder: Path) -> list[str]:
    """Every such address of a site, with its page."""
    found = []
    for page in sorted(folder.rglob("*.html")):
        reader = Fetches()
        reader.feed(page.read_text())
        found += [f"{page.relative_to(folder)}: {address}" for address in reader.found]
    for sheet in sorted(folder.rglob("*.css")):
        addresses = IN_STYLES.findall(sheet.read_text())
        found += [f"{sheet.relative_to(folder)}: {address}" for address in addresses]
    return found


if __name__ == "__main__":
    (site,) = map(Path, sys.argv[1:])
    pages = len(list(site.rglob("*.html")))
    trouble = fetched(site)
    print("\n".join([*trouble, f"{site}: {pages} pages, {len(trouble)} fetch from elsewhere"]))
    sys.exit(bool(trouble) or pages == 0)
