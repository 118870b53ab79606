"""A line of code that goes on below stays apart from the lines around it.

On a phone a line of code breaks. What goes on has to stand further in than
the line begins, or it would read as a line of its own: so each line that may
break is told where it begins, and `book.css` sets the rest in from there.
"""

import html
import re
from pathlib import Path

from built_site import once_built
from sphinx.application import Sphinx

FITS = 36  # columns of the narrowest box on a narrow phone
CODE = re.compile(
    r'(?<=<div class="highlight"><pre>).*?(?=</pre>)', re.DOTALL
)
LINE = re.compile(r"[^\n]+\n?")
TAG = re.compile(r"<[^>]*>")


def _marked(found: re.Match) -> str:
    text = html.unescape(TAG.sub("", found[0])).rstrip("\n")
    if len(text) <= FITS:
        return found[0]
    indent = len(text) - len(text.lstrip(" "))
    style = f'class="long-line" style="--indent:{indent}ch"'
    return f"<span {style}>{found[0]}</span>"


def mark(site: Path) -> None:
    """Mark the long lines of code in a built site."""
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        text = CODE.sub(lambda code: LINE.sub(_marked, code[0]), text)
        page.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    once_built(app, mark)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
