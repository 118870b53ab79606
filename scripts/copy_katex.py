"""Copy KaTeX from node_modules into the book, which sets its formulas with it and shows its fonts.

    npm install --save-dev katex@latest
    python scripts/copy_katex.py

Of the style sheet the older formats of the fonts are left out.
"""

import argparse
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "book" / "_extensions" / "katex" / "katex.min.js"
STYLE = ROOT / "book" / "_static" / "katex" / "katex.min.css"
OLDER_FORMATS = re.compile(r',url\([^)]*\.(?:woff|ttf)\) format\("(?:woff|truetype)"\)')


def copy(package: Path, program: Path = PROGRAM, style: Path = STYLE) -> None:
    """Copy program, style sheet, licence and fonts of the npm package."""
    for path in (program.parent, style.parent / "fonts"):
        path.mkdir(parents=True, exist_ok=True)
    shutil.copy(package / "dist" / "katex.min.js", program)
    shutil.copy(package / "LICENSE", program.parent)
    shutil.copy(package / "LICENSE", style.parent)
    style.write_text(OLDER_FORMATS.sub("", (package / "dist" / "katex.min.css").read_text()))
    shutil.copy(package / "dist" / "contrib" / "copy-tex.min.js", style.parent)
    for font in package.glob("dist/fonts/*.woff2"):
        shutil.copy(font, style.parent / "fonts")


def main() -> None:
    parser = argparse.ArgumentParser(description="Copy KaTeX into the book.")
    parser.add_argument("--package", type=Path, default=ROOT / "node_modules" / "katex")
    copy(parser.parse_args().package)


if __name__ == "__main__":
    main()
