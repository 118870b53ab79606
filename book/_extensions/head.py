"""What searches and shared links say of a page, and a page for dead ends.

Every page describes itself. Where the site's address is known, pages also
name it, `sitemap.xml` and `robots.txt` list them, and `404.html`, which is
shown in place of any page that is not there, leads back from any folder.
"""

import re
from collections.abc import Iterator
from html import escape, unescape
from pathlib import Path
from typing import Any

from docutils import nodes
from plain_text import summary
from sphinx.application import Sphinx

IMAGE = "_static/cover.png"
LOST = """<section id="not-found"><h1>No such page</h1>
<p>Nothing stands at this address, perhaps because it has moved. Search for
it, take a chapter from the menu, or begin at
<a class="reference internal" href="{first}">the first page</a>.</p>
<form class="search-from-here" action="search.html">
<input class="form-control" type="search" name="q" required
aria-label="Search the book" placeholder="Search the book">
<button class="btn btn-primary" type="submit">Search</button>
</form></section>"""


def add_tags(
    app: Sphinx,
    page: str,
    template: str,
    context: dict[str, Any],
    document: nodes.document | None,
) -> None:
    """Describe a page that has a source."""
    site = app.config.html_baseurl
    tags: dict[str, str] = {}
    if document is not None:
        title = unescape(re.sub("<[^>]+>", "", context["title"]))
        description = summary(document)
        tags |= {
            "description": description,
            "og:title": title,
            "og:description": description,
            "og:type": "article",
            "og:site_name": context["docstitle"],
        }
        if site:
            tags |= {"og:url": context["pageurl"], "og:image": site + IMAGE}
    lines = [context.get("metatags", "")]
    if page == "404":
        tags["robots"] = "noindex"
        context["pageurl"] = None
        if site:
            # Not the folder: a link to a place on this page stays on it.
            lines.append(f'<base href="{site}404.html" />')
    for name, content in tags.items():
        kind = "property" if name.startswith("og:") else "name"
        lines.append(f'<meta {kind}="{name}" content="{escape(content)}" />')
    context["metatags"] = "\n    ".join(lines)


def lost(app: Sphinx) -> Iterator[tuple[str, dict[str, str], str]]:
    """The page that stands for pages that are not there."""
    first = app.builder.get_target_uri(app.config.root_doc)
    body = LOST.format(first=first)
    yield "404", {"title": "No such page", "body": body}, "page.html"


def add_lists(app: Sphinx, exception: Exception | None) -> None:
    """List the pages for search engines."""
    site = app.config.html_baseurl
    if exception or not site or app.builder.format != "html":
        return
    pages = map(app.builder.get_target_uri, sorted(app.env.found_docs))
    addresses = "\n".join(
        f"<url><loc>{escape(site + page)}</loc></url>" for page in pages
    )
    Path(app.outdir, "sitemap.xml").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
        f"{addresses}\n</urlset>\n",
        encoding="utf-8",
    )
    Path(app.outdir, "robots.txt").write_text(
        f"User-agent: *\nAllow: /\nSitemap: {site}sitemap.xml\n",
        encoding="utf-8",
    )


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", add_tags)
    app.connect("html-collect-pages", lost)
    app.connect("build-finished", add_lists)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
