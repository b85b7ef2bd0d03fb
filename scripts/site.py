"""Build the documentation as a site in build/html, and check every link in it.

The pages lie where GitHub shows them: README.md, docs/, runbooks/ and beside what they are about.
They are gathered into build/site, in the same places; a link to what is no page leads to GitHub.
It runs in `.run/docs`, which has mkdocs-material.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

_CHECKOUT = Path(__file__).parent.parent
_SOURCE = _CHECKOUT / "build" / "site"
_SITE = _CHECKOUT / "build" / "html"
_GITHUB = "https://github.com/flowgauge/flowgauge/blob/main"
_LINK = re.compile(r"(?<=\]\()(?P<target>[^)#\s]+)(?P<anchor>#[^)\s]*)?(?=\))")
_PICTURES = ("*.png", "*.svg")
_NO_PAGES = (".github", "CODE_OF_CONDUCT.md")


def main() -> None:
    """Gather, build strictly, check; end with a sentence for what leads nowhere."""
    pages = _tracked("*.md")
    pages = [page for page in pages if page.parts[0] not in _NO_PAGES]
    _gather(pages, _tracked(*_PICTURES))
    subprocess.run([Path(sys.executable).parent / "mkdocs", "build", "--strict", "--quiet"],
                   cwd=_CHECKOUT, check=True)  # fmt: skip
    if broken := sorted(set(_broken())):
        sys.exit("\n".join(broken))
    sys.stdout.write(
        f"build/html holds {len(pages)} pages, and every link in them leads somewhere.\n"
    )


def _tracked(*patterns: str) -> list[Path]:
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    done = subprocess.run(listed, cwd=_CHECKOUT, capture_output=True, text=True, check=True)
    return [Path(line) for line in done.stdout.splitlines()]


def _gather(pages: list[Path], pictures: list[Path]) -> None:
    shutil.rmtree(_SOURCE, ignore_errors=True)
    there = {*pages, *pictures}
    for file in there:
        (_SOURCE / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(_CHECKOUT / file, _SOURCE / file)
    for page in pages:
        text = (_CHECKOUT / page).read_text()
        (_SOURCE / page).write_text(_LINK.sub(lambda link: _led(link, page, there), text))  # noqa: B023


def _led(link: re.Match[str], page: Path, there: set[Path]) -> str:
    """Return where a link of *page* leads on the site."""
    target = link["target"]
    if urlsplit(target).scheme:
        return link[0]
    file = (_CHECKOUT / page.parent / target).resolve().relative_to(_CHECKOUT)
    if file in there:
        return link[0]
    if not (_CHECKOUT / file).exists():
        sys.exit(f"{page} links to {target}, which is not there")
    return f"{_GITHUB}/{file.as_posix()}{link['anchor'] or ''}"


class _Page(HTMLParser):
    """What a page links to, and what can be linked to in it."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = {""}
        self.feed(file.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        """Remember it."""
        of = dict(attrs)
        self.anchors |= {of["id"]} if of.get("id") else set()
        self.links += [of[key] or "" for key in ("href", "src") if key in of]


def _broken() -> Iterator[str]:
    """Yield a sentence for each link within the site that leads nowhere."""
    files = {file.resolve(): _Page(file) for file in _SITE.rglob("*.html")}
    for file, page in files.items():
        # It is served for addresses that are wrong, so its own are absolute.
        if file.name == "404.html":
            continue
        for link in page.links:
            address, anchor = urldefrag(link)
            if urlsplit(address).scheme or address.startswith("//"):
                continue
            target = (file.parent / unquote(address)).resolve() if address else file
            target = target / "index.html" if target.is_dir() else target
            if not target.exists() or (
                target in files and unquote(anchor) not in files[target].anchors
            ):
                yield f"{file.relative_to(_SITE)} links to {link}, which is not there"


if __name__ == "__main__":
    main()
