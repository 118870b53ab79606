"""Pages load the dozen icons that they show, not two thousand.

The theme brings Font Awesome as a script of 1.5 MB, which stands in every
page's head, and as fonts and a style sheet. When the site is built, what its
pages, scripts and styles name is kept, as one small font and its rules.
"""

import os
import re
import shutil
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont
from sphinx.application import Sphinx

FONT = "icons.woff"
STYLE = "icons.css"
NAME = re.compile(r"\bfa-[a-z0-9-]+")
RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
POINT = re.compile(r"\\([ef][0-9a-f]{3})\b")
SHEET = re.compile(
    r'(<link href=")[^"]*vendor/fontawesome[^"]*(" rel="stylesheet")'
)
ANY_OF_IT = re.compile(
    r"\s*<(?:script|link)[^>]*vendor/fontawesome[^>]*>(?:</script>)?"
)
NOTICE = "/* Font Awesome Free, Fonticons, Inc.: CC BY 4.0, SIL OFL 1.1 */\n"
FACES = "".join(
    f'@font-face{{font-family:"Font Awesome {version} Free";font-weight:900;'
    f'src:url({FONT}) format("woff")}}\n'
    for version in (5, 6)  # the theme's own style says 5
)


def rules_of(style: str, names: set[str]) -> str:
    """Return the rules of a style sheet that are for ``names`` alone."""
    kept = []
    plain = re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL)
    for selectors, declarations in RULE.findall(plain):
        wanted = []
        for selector in selectors.split(","):
            classes = set(re.findall(r"\.([a-z0-9-]+)", selector))
            if classes and classes <= names:
                wanted.append(selector.strip())
        if wanted:
            kept.append(f"{','.join(wanted)}{{{declarations}}}")
    return "\n".join(kept)


def cut(site: Path) -> None:
    """Replace the theme's Font Awesome by what a site shows of it."""
    static = site / "_static"
    [package] = (static / "vendor" / "fontawesome").iterdir()
    pages = [*site.rglob("*.html")]
    texts = {page: page.read_text(encoding="utf-8") for page in pages}
    scripts = [
        path.read_text(encoding="utf-8")
        for path in static.rglob("*.js")
        if package not in path.parents
    ]
    styles = [
        path.read_text(encoding="utf-8")
        for path in static.rglob("*.css")
        if package not in path.parents
    ]
    names = {"fa", "fas", "fa-solid"}
    for text in (*texts.values(), *scripts):
        names.update(NAME.findall(text))
    style = (package / "css" / "all.min.css").read_text(encoding="utf-8")
    rules = rules_of(style, names)
    used = [
        point for text in (rules, *styles) for point in POINT.findall(text)
    ]
    options = subset.Options(flavor="woff", layout_features=[], hinting=False)
    font = TTFont(package / "webfonts" / "fa-solid-900.ttf")
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes={int(point, 16) for point in used})
    cutter.subset(font)
    subset.save_font(font, str(static / FONT), options)
    (static / STYLE).write_text(
        NOTICE + FACES + rules + "\n", encoding="utf-8"
    )
    for page, text in texts.items():
        address = os.path.relpath(static / STYLE, page.parent)
        # In the place of the sheet, which rules of the theme follow.
        light = SHEET.sub(rf"\g<1>{address}\g<2>", text)
        page.write_text(ANY_OF_IT.sub("", light), encoding="utf-8")
    shutil.rmtree(static / "vendor" / "fontawesome")


def after_the_build(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        cut(Path(app.outdir))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", after_the_build)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
