"""Print the built book to one PDF: every page of the table of contents, in its order.

    python scripts/make_pdf.py

Needs the built site (``make book``) and Chromium (``make browser``). On paper nothing moves:
scripts are off, so that each figure shows its still, and each solution and reply is open. Links
between pages of the book lead to their places in the PDF, its outline holds parts, pages and their
sections, and the page numbers run through.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

from bs4 import BeautifulSoup, Tag
from chromium import launch
from playwright.sync_api import Browser, Page, Route, sync_playwright
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, Fit, FloatObject, IndirectObject, NameObject, NullObject
from site_server import served
from sphinx_external_toc.parsing import parse_toc_yaml
from tqdm.auto import tqdm

ROOT = Path(__file__).parents[1]
# Chromium makes a link's end a place of the PDF only where some link on the same page leads to it.
ENDS = "position: absolute; color: transparent; font-size: 1px"
HEADINGS = "h1, h2, h3, h4, h5, h6"
SCALE = 0.8  # lines of code of 78 letters fit
PAPER = """
@page {
  size: A4;
  margin: 18mm 16mm 20mm;
  @top-center { content: "%(title)s"; font: 9pt sans-serif; color: #555; }
  @bottom-center { content: counter(page); font: 9pt sans-serif; color: #555; }
}
html { counter-reset: page %(before)d; }
"""


def parts(toc: Path) -> Iterator[tuple[str | None, list[str]]]:
    """Return each part's caption, if it has one, and the paths of its pages in the site."""
    root = parse_toc_yaml(toc).root
    yield None, [f"{root.docname}.html"]
    for subtree in root.subtrees:
        yield subtree.caption, [f"{item}.html" for item in subtree.items]


def ends_of_links(address: str, pages: dict[str, BeautifulSoup]) -> dict[str, set[str]]:
    """Return the places of each page, by its path, to which links of other pages lead."""
    ends = defaultdict(set)
    for path, soup in pages.items():
        for link in soup.select("article a[href]"):
            target, place = urldefrag(urljoin(f"{address}/{path}", str(link["href"])))
            if place and target.startswith(f"{address}/"):
                ends[target.removeprefix(f"{address}/")].add(unquote(place))
    return ends


def for_paper(soup: BeautifulSoup, ends: set[str], before: int) -> str:
    """Return a page as it is printed, after ``before`` pages."""
    for node in soup.select("script, a.headerlink"):
        node.decompose()
    for image in soup.select("img[loading]"):
        del image["loading"]
    for replies in soup.select(".asked details"):
        replies["open"] = ""
    assert isinstance(soup.html, Tag)
    soup.html["data-theme"] = "light"  # of which a script would think
    title = soup.select_one("article h1")
    words = title.get_text(" ", strip=True) if title else ""
    style = soup.new_tag("style")
    style.string = PAPER % {"title": words.replace('"', r"\""), "before": before}
    assert isinstance(soup.head, Tag)
    assert isinstance(soup.body, Tag)
    soup.head.append(style)
    links = soup.new_tag("div")
    for place in sorted(ends):
        link = soup.new_tag("a", href=f"#{place}", style=ENDS)
        link.string = "."
        links.append(link)
    (soup.select_one("article") or soup.body).append(links)
    return str(soup)


def print_page(page: Page, url: str, html: str) -> PdfReader:
    """Return what Chromium prints of ``html``, as if it lay at ``url``."""

    def answer(route: Route) -> None:
        route.fulfill(body=html, content_type="text/html; charset=utf-8")

    page.route(url, answer)
    page.goto(url, wait_until="networkidle")
    # The outline is of the tags.
    printed = page.pdf(
        prefer_css_page_size=True, print_background=True, tagged=True, outline=True, scale=SCALE
    )
    page.unroute(url)
    return PdfReader(BytesIO(printed))


class Book:
    """A PDF that grows by one page of the site after the other."""

    def __init__(self) -> None:
        self.writer = PdfWriter()
        self.starts: dict[str, int] = {}
        self.readers: dict[str, PdfReader] = {}
        self.parts: dict[str, IndirectObject] = {}

    @property
    def size(self) -> int:
        """The number of its pages."""
        return len(self.writer.pages)

    def add(self, path: str, reader: PdfReader, part: str | None, headings: list[str]) -> None:
        """Add what was printed of the page ``path``, and its headings below ``part``."""
        self.starts[path], self.readers[path] = self.size, reader
        start = self.size
        for page in reader.pages:
            self.writer.add_page(page)
        if part is not None and part not in self.parts:
            self.parts[part] = self.writer.add_outline_item(title=part, page_number=start)
        # Chromium leaves out the blank at which it breaks a line.
        spaced = {"".join(heading.split()): " ".join(heading.split()) for heading in headings}
        above = self.parts.get(part) if part else None
        self._add_headings(reader, start, reader.outline, above, spaced)

    def _add_headings(
        self,
        reader: PdfReader,
        start: int,
        headings: list,
        parent: IndirectObject | None,
        spaced: dict[str, str],
    ) -> None:
        above = parent
        for heading in headings:
            if isinstance(heading, list):
                self._add_headings(reader, start, heading, above, spaced)
                continue
            number = reader.get_destination_page_number(heading)
            if number is not None:
                title = "".join(str(heading.title).split())
                above = self.writer.add_outline_item(
                    title=spaced.get(title, title),
                    page_number=start + number,
                    parent=parent,
                    fit=Fit.xyz(top=float(heading.top or 0)),
                )

    def place(self, path: str, name: str) -> ArrayObject | None:
        """Return the place ``name`` of a page of the site, its start without one."""
        if path not in self.starts:
            return None
        reader, start = self.readers[path], self.starts[path]
        found = reader.named_destinations.get(f"/{name}")
        number = reader.get_destination_page_number(found) if found else None
        page = self.writer.pages[start + (number or 0)]
        top = page.mediabox.top if found is None else found.top
        fit = NameObject("/XYZ"), NullObject(), FloatObject(top or 0), NullObject()
        return ArrayObject([page.indirect_reference, *fit])

    def join_links(self, address: str) -> None:
        """Let links to pages of the site lead into the PDF; those that leave the book go."""
        for path, start in self.starts.items():
            for number in range(len(self.readers[path].pages)):
                page = self.writer.pages[start + number]
                kept = ArrayObject()
                for reference in page.get("/Annots", ()):
                    link = reference.get_object()
                    target = str(link.get("/A", {}).get("/URI", ""))
                    if "/Dest" in link:
                        place = self.place(path, str(link["/Dest"]).removeprefix("/"))
                    elif target.startswith(f"{address}/"):
                        target, name = urldefrag(target.removeprefix(f"{address}/"))
                        place = self.place(target, unquote(name))
                        link.pop("/A")
                    else:
                        kept.append(reference)
                        continue
                    if place is not None:
                        link[NameObject("/Dest")] = place
                        kept.append(reference)
                if kept:
                    page[NameObject("/Annots")] = kept


def make_pdf(browser: Browser, site: Path, toc: Path, target: Path) -> int:
    """Print the pages of ``toc`` from ``site`` into ``target``; return the number of its pages."""
    listed = list(parts(toc))
    pages = {
        path: BeautifulSoup((site / path).read_text(encoding="utf-8"), "html.parser")
        for _, paths in listed
        for path in paths
    }
    book = Book()
    context = browser.new_context(java_script_enabled=False, color_scheme="light")
    with context, served(site) as address, tqdm(total=len(pages), unit="page") as bar:
        ends = ends_of_links(address, pages)
        page = context.new_page()
        for part, paths in listed:
            for path in paths:
                html = for_paper(pages[path], ends[path], book.size)
                headings = [node.get_text() for node in pages[path].select(HEADINGS)]
                book.add(path, print_page(page, f"{address}/{path}", html), part, headings)
                bar.update()
    book.join_links(address)
    title = pages[listed[0][1][0]].select_one("article h1")
    book.writer.add_metadata({"/Title": title.get_text(strip=True) if title else ""})
    book.writer.compress_identical_objects()
    book.writer.write(target)
    return book.size


def main() -> None:
    parser = argparse.ArgumentParser(description="Print the built book to one PDF.")
    parser.add_argument("--output", type=Path, default=ROOT / "_build" / "book.pdf")
    target = parser.parse_args().output
    with sync_playwright() as playwright, launch(playwright) as browser:
        number = make_pdf(browser, ROOT / "_build" / "html", ROOT / "_toc.yml", target)
    print(f"{target}: {number} pages, {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
