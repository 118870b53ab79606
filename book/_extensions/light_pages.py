"""Pages load what they show: one style sheet, one script, a few icons.

The theme and its companions bring thirteen style sheets, Font Awesome as a
script of 1.5 MB and as fonts of two thousand icons, and scripts that hold up
the first paint. When the site is built, the rules that its pages and scripts
can use become one sheet, the scripts of all pages one, which waits for them,
and fonts keep what is asked of them: the icons that those rules name, the
letters that formulas are made of. Scripts that answer a pointer alone come
when the page is at rest.
"""

import base64
import hashlib
import html
import json
import logging
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import tinycss2
from built_site import once_built
from fontTools import subset
from fontTools.ttLib import TTFont
from sphinx.application import Sphinx

Node = Any  # of tinycss2, which has no types

WORD = re.compile(r"[\w-]+")
SHEET = re.compile(r'\s*<link\b[^>]*\brel="stylesheet"[^>]*>')
ADDRESS = re.compile(r'\bhref="([^"]+)"')
RELATIVE = re.compile(r"""url\((["']?)(?!data:|#|/|https?:)([^"')]+)\1\)""")
READ = re.compile(r"var\(\s*(--[\w-]+)")
IMPORT = re.compile(r"""@import\s+["']([^"']+)["']\s*;""")
AWESOME = "vendor/fontawesome"
BLOCKING = re.compile(
    r"<script(?![^>]*\b(?:defer|async|type)\b)(?=[^>]*\bsrc=)"
)
# Menus and tooltips, and the buttons that copy code.
LATE = re.compile(
    r'\s*<script defer\b[^>]*\bsrc="'
    r'([^"]*/(?:bootstrap|clipboard\.min|copybutton)\.js[^"]*)"></script>'
)
# Bootstrap, the last one, starts to mark a page's contents at its load alone.
ASK_LATE = """<script>{
  const ask = () => {
    const scripts = ADDRESSES.map((src) =>
      Object.assign(document.createElement("script"), { src, async: false }),
    );
    scripts.at(-1).onload = () =>
      bootstrap.ScrollSpy.getOrCreateInstance(document.body);
    document.head.append(...scripts);
  };
  const idle = window.requestIdleCallback ?? setTimeout;
  addEventListener("load", () => idle(ask));
}</script>
"""
PRELOAD = re.compile(r'\s*<link rel="preload"[^>]*>')
DEFERRED = re.compile(
    r'\s*<script defer\b[^>]*\bsrc="([^"]*)"[^>]*></script>'
)
# Those whose names others use; what one of the rest can't do stops no other.
BARE = {"doctools.js", "sphinx_highlight.js"}
OPTIONS = re.compile(r"<script[^>]*documentation_options\.js[^>]*></script>")
AWESOME_SCRIPT = re.compile(rf"\s*<script[^>]*{AWESOME}[^>]*></script>")
# What each figure of a page brings, and the page needs once.
FIGURE_PART = re.compile(
    r'<style>.*?</style>|<script type="application/json" data-module="\w+">'
    r".*?</script>|<script>window\.beginFigure .*?</script>",
    re.DOTALL,
)
ICON = re.compile(r"[\ue000-\uf8ff]")
KATEX_FONTS = "katex/fonts"
# Those of nearly all formulas come with the style, not after it, so that no
# formula changes its width in sight.
FIRST_FONTS = tuple(
    f"KaTeX_{name}.woff2"
    for name in ("Main-Regular", "Math-Italic", "AMS-Regular")
)
# A font of Font Awesome, its family, its weight, and how a page asks for it.
# The theme's own style names the families of version 5.
FONTS = (
    ("fa-solid-900", "Free", 900, re.compile(r"\b(?:fas?|fa-solid) fa-")),
    ("fa-regular-400", "Free", 400, re.compile(r"\b(?:far|fa-regular) fa-")),
    ("fa-brands-400", "Brands", 400, re.compile(r"\b(?:fab|fa-brands) fa-")),
)


def _usable(selector: list[Node], words: set[str]) -> bool:
    """Return whether a page may hold what a selector asks for.

    Each class, identifier and element that stands outside brackets must be a
    word of some page or script.
    """
    previous = ""
    for node in selector:
        name = node.type in {"ident", "hash"} and previous != ":"
        if name and node.value not in words:
            return False
        previous = node.value if node.type == "literal" else ""
    return True


def _selectors(prelude: list[Node]) -> Iterator[list[Node]]:
    selector: list[Node] = []
    for node in prelude:
        if node.type == "literal" and node.value == ",":
            yield selector
            selector = []
        else:
            selector.append(node)
    yield selector


def _text(nodes: Iterable[Node]) -> str:
    """Return the source of nodes on one line, without comments."""
    parts = (
        " " if node.type == "whitespace" else node.serialize()
        for node in nodes
        if node.type != "comment"
    )
    return "".join(parts).strip()


def _declarations(content: list[Node], words: set[str]) -> str:
    kept = []
    for found in tinycss2.parse_blocks_contents(content):
        if found.type != "declaration":
            continue
        if not found.name.startswith("--") or found.name in words:
            important = "!important" if found.important else ""
            kept.append(f"{found.name}:{_text(found.value)}{important}")
    return ";".join(kept)


def _rules(nodes: Iterable[Node], words: set[str]) -> Iterator[str]:
    for node in nodes:
        if node.type == "comment" and node.value.startswith("!"):
            yield f"/*{node.value}*/"  # a licence
        elif node.type == "qualified-rule":
            wanted = [
                _text(selector)
                for selector in _selectors(node.prelude)
                if _usable(selector, words)
            ]
            declarations = _declarations(node.content, words)
            if wanted and declarations:
                yield f"{','.join(wanted)}{{{declarations}}}"
        elif node.type == "at-rule":
            name = f"@{node.at_keyword} {_text(node.prelude)}".strip()
            if node.lower_at_keyword in {"media", "supports"}:
                inner = tinycss2.parse_blocks_contents(node.content)
                body = "".join(_rules(inner, words))
                if body:
                    yield f"{name}{{{body}}}"
            elif node.content is not None:
                yield f"{name}{{{_text(node.content)}}}"


def used_rules(style: str, words: set[str]) -> str:
    """Return a style sheet's rules that a site can use.

    Args:
        style: of a style sheet.
        words: of its pages and scripts: classes, identifiers, elements, and
            the variables that those read.
    """
    before = ""
    while style != before:  # a variable may be read by one that goes
        before = style
        known = words | set(READ.findall(style))
        style = "".join(_rules(tinycss2.parse_stylesheet(style), known))
    return style


def _cut(font: Path, characters: str, made: Path) -> None:
    """Write a font that has some of another's characters, and no hints."""
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # not a build's
    wanted = subset.Options(flavor="woff2", layout_features=[], hinting=False)
    whole = TTFont(font)
    cutter = subset.Subsetter(wanted)
    cutter.populate(text=characters)
    cutter.subset(whole)
    subset.save_font(whole, str(made), wanted)


def _icon_faces(style: str, pages: Iterable[str], static: Path) -> str:
    """Write the fonts of the icons that a style names; return their rules."""
    [package] = (static / AWESOME).iterdir()
    icons = "".join(ICON.findall(style))
    faces = ["/*! Font Awesome Free, Fonticons, Inc.: CC BY 4.0, OFL 1.1 */"]
    for name, family, weight, asked in FONTS:
        if not any(asked.search(page) for page in pages):
            continue
        font, made = package / "webfonts" / f"{name}.ttf", f"{name}.woff2"
        _cut(font, icons, static / made)
        faces += [
            f'@font-face{{font-family:"Font Awesome {version} {family}";'
            f'font-weight:{weight};src:url({made}) format("woff2")}}'
            for version in (5, 6)
        ]
    return "".join(faces)


def _with_fonts(style: str, characters: str, static: Path) -> str:
    """Cut the fonts of formulas; return a style that holds the first ones."""
    for font in (static / KATEX_FONTS).glob("*.woff2"):
        _cut(font, characters, font)
        if font.name in FIRST_FONTS:
            data = base64.b64encode(font.read_bytes()).decode()
            address = f"url(data:font/woff2;base64,{data})"
            style = style.replace(f"url({KATEX_FONTS}/{font.name})", address)
            font.unlink()
    return style


def _sheets(text: str, page: Path) -> list[Path]:
    """Return the style sheets of a page, in their order."""
    tags = SHEET.findall(text)
    addresses = (ADDRESS.search(tag)[1] for tag in tags)  # pyright: ignore
    paths = (page.parent / urlsplit(address).path for address in addresses)
    return [path.resolve() for path in paths]


def _merged(orders: Iterable[list[Path]]) -> list[Path]:
    """Return all sheets in the order in which every page has its own."""
    merged: list[Path] = []
    for order in sorted(orders, key=len, reverse=True):
        place = 0
        for sheet in order:
            if sheet in merged:
                place = merged.index(sheet) + 1
            else:
                merged.insert(place, sheet)
                place += 1
    return merged


def _sheet(path: Path, static: Path) -> str:
    """Return a style sheet, with those that it imports, as read from afar."""
    folder = os.path.relpath(path.parent, static)

    def address(found: re.Match) -> str:
        return f"url({os.path.normpath(f'{folder}/{found[2]}')})"

    style = RELATIVE.sub(address, path.read_text(encoding="utf-8"))
    if AWESOME in path.as_posix():
        style = re.sub(r"@font-face\s*\{[^}]*\}", "", style)
    return IMPORT.sub(
        lambda found: _sheet(path.parent / found[1], static), style
    )


def without_repeats(page: str) -> str:
    """Return a page in which what its figures share stands once."""
    seen: set[str] = set()

    def first(found: re.Match) -> str:
        new = found[0] not in seen
        seen.add(found[0])
        return found[0] if new else ""

    return FIGURE_PART.sub(first, page)


def _late(page: str) -> str:
    """Return a page that asks for some scripts when it rests, in order."""
    found = LATE.findall(page)
    if not found:
        return page
    addresses = json.dumps([html.unescape(address) for address in found])
    return LATE.sub("", page).replace(
        "</head>", ASK_LATE.replace("ADDRESSES", addresses) + "</head>", 1
    )


def _deferred(text: str, page: Path) -> list[Path]:
    """Return the scripts of a page that wait for it, in their order."""
    addresses = map(html.unescape, DEFERRED.findall(text))
    return [(page.parent / urlsplit(a).path).resolve() for a in addresses]


def _script(path: Path) -> str:
    """Return a script as a part of a longer one, in which it may fail."""
    code = path.read_text(encoding="utf-8")
    if path.name in BARE:
        return f"{code}\n;"
    return f"try {{\n{code}\n}} catch (error) {{\n  reportError(error);\n}}\n"


def _with_one_script(texts: dict[Path, str], static: Path) -> dict[Path, str]:
    """Write what the pages' deferred scripts have in common as one script."""
    found = (_deferred(text, page) for page, text in texts.items())
    orders = [order for order in found if order]
    common = [path for path in orders[0] if all(path in o for o in orders)]
    # A directive at the beginning would hold for all of them.
    script = ";" + "".join(map(_script, common))
    digest = hashlib.sha256(script.encode()).hexdigest()[:8]
    made = static / f"book-{digest}.js"
    made.write_text(script, encoding="utf-8")

    changed = {}
    for page, text in texts.items():
        paths = iter(_deferred(text, page))
        address = os.path.relpath(made, page.parent)
        tags = iter([f'\n    <script defer src="{address}"></script>'])

        def tag(found: re.Match, paths=paths, tags=tags) -> str:
            return next(tags, "") if next(paths) in common else found[0]

        changed[page] = DEFERRED.sub(tag, text)
    for path in common:
        path.unlink()
    return changed


def lighten(site: Path) -> None:
    """Give the pages of a site one style sheet and one deferred script."""
    site = site.resolve()
    static = site / "_static"
    texts = {
        page: page.read_text(encoding="utf-8")
        for page in site.rglob("*.html")
        if static not in page.parents  # where templates lie
    }
    scripts = (
        path.read_text(encoding="utf-8")
        for path in static.rglob("*.js")
        if AWESOME not in path.as_posix()
    )
    words = {
        w for text in (*texts.values(), *scripts) for w in WORD.findall(text)
    }

    order = _merged([_sheets(text, page) for page, text in texts.items()])
    whole = "\n".join(_sheet(path, static) for path in order)
    style = used_rules(whole, words)
    style = (
        '@charset "utf-8";'
        + _icon_faces(style, texts.values(), static)
        + style
    )
    # All characters of all pages are few, and a formula's are among them.
    characters = "".join({*html.unescape("".join(texts.values()))})
    style = _with_fonts(style, characters, static)
    digest = hashlib.sha256(style.encode()).hexdigest()[:8]
    made = static / f"book-{digest}.css"
    for sheet in order:
        sheet.unlink()
    made.write_text(style, encoding="utf-8")

    # What inline scripts ask for at once stands before them, inline too.
    path = static / "documentation_options.js"
    options = f"<script>{path.read_text(encoding='utf-8')}</script>"
    for page, text in texts.items():
        address = os.path.relpath(made, page.parent)
        links = iter([f'\n  <link rel="stylesheet" href="{address}">'])
        text = PRELOAD.sub("", AWESOME_SCRIPT.sub("", text))
        text = SHEET.sub(lambda _, links=links: next(links, ""), text)
        text = OPTIONS.sub(lambda _: options, text)
        text = _late(BLOCKING.sub("<script defer", text))
        texts[page] = without_repeats(text)
    for page, text in _with_one_script(texts, static).items():
        page.write_text(text, encoding="utf-8")
    shutil.rmtree(static / "vendor")


def setup(app: Sphinx) -> dict[str, bool]:
    # After the theme, which writes a style sheet of its own at the end.
    once_built(app, lighten, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
