"""A notebook's pictures come in both themes, small, in time and in place.

matplotlib draws on white, with six decimals. When the site is built, each
picture is rounded to what a screen shows, a second one is coloured for the
dark theme, both are loaded when the reader comes near, and their size stands
in the page, so that nothing moves when they come.
"""

import colorsys
import math
import re
from itertools import pairwise
from pathlib import Path

from built_site import once_built
from sphinx.application import Sphinx

IMAGE = re.compile(
    r'<img ([^>]*\bsrc="([^"]*_images/[^"]+\.svg)"[^>]*?)\s*/?>'
)
SIZE = re.compile(r'<svg\b[^>]*?\bwidth="([\d.]+)pt" height="([\d.]+)pt"')
METADATA = re.compile(
    r"<metadata>.*?</metadata>|<!DOCTYPE[^>]*>|<!--.*?-->", re.DOTALL
)
# The outline of a letter, in small units.
OUTLINE = re.compile(r'(?<=\sd=")([^"]+)" transform="scale\(0\.015625\)"')
COMMAND = re.compile(r"([MLQCz])([^MLQCz]*)")
COARSER = 16  # times as large a unit, a fortieth of a pixel at most
PATH = re.compile(r'(?<=\sd=")[^"]+')
PLACE = re.compile(r'(?<=\s[xy]=")[^"]+')
DECIMAL = re.compile(r"-?\d+\.\d+")
NUMBERS = re.compile(r"-?[\d.]+")
ZERO = re.compile(r"^(-?)0\.")
LINE = re.compile(r"M[-\d. ]+(?:L[-\d. ]+)+")
# Marks of one kind and colour, one after the other.
MARKS = re.compile(r'<use [^>]*( style="[^"]*")/>(?:\s*<use [^>]*\1/>)+')
NAME = re.compile(r'\sid="([^"]*)"')
NAMED = re.compile(r'#([A-Za-z][\w-]*)(?=["\)])')
# A letter in its word, so many units from the first one.
LETTER = re.compile(
    r'(<use [^>]*?) transform="translate\((-?[\d.]+) (-?[\d.]+)\)"(?=/>)'
)
COLOUR = re.compile(r"#[0-9a-f]{6}\b", re.IGNORECASE)
# Of the dark theme, in red, green and blue.
PAPER, INK = (0x12, 0x12, 0x12), (0xCE, 0xD6, 0xDD)
Point = tuple[float, float]
STRAIGHT = 0.05  # what a line may lose to the side, a fifteenth of a pixel
NEUTRAL = 0.12  # up to this saturation a colour is a grey
DIM = 0.45  # below this lightness a line is lost on the dark paper
POINT = 4 / 3  # pixels
LEAST = 0.75  # of its size, at which letters of 11 points have 11 pixels


def _rounded(found: re.Match) -> str:
    value = float(found[0])
    text = f"{value:.{1 if abs(value) >= 10 else 2}f}"
    text = text.rstrip("0").rstrip(".")
    return "0" if text in {"", "-", "-0"} else text


def _aside(place: Point, start: Point, end: Point) -> float:
    """Return how far a point is from a straight line between two others."""
    (x, y), (dx, dy) = (
        (one[0] - start[0], one[1] - start[1]) for one in (place, end)
    )
    length = dx * dx + dy * dy
    along = min(max((x * dx + y * dy) / length, 0), 1) if length else 0
    return math.hypot(x - along * dx, y - along * dy)


def _needed(points: list[Point]) -> list[Point]:
    """Return the points without which a line would look different.

    By the method of Ramer (1972), and Douglas and Peucker (1973).
    """
    needed, parts = {0, len(points) - 1}, [(0, len(points) - 1)]
    while parts:
        first, last = parts.pop()
        ends = points[first], points[last]
        far = {i: _aside(points[i], *ends) for i in range(first + 1, last)}
        most = max(far, key=far.__getitem__, default=first)
        if far.get(most, 0) > STRAIGHT:
            needed.add(most)
            parts += [(first, most), (most, last)]
    return [points[i] for i in sorted(needed)]


def _steps(numbers: list[float]) -> str:
    """Return the way from each point of a line to the next one."""
    points = _needed(list(zip(numbers[::2], numbers[1::2], strict=True)))
    steps = []
    for (x, y), (next_x, next_y) in pairwise(points):
        step = (round(next_x - x, 2), round(next_y - y, 2))
        if any(step) or len(points) == 2:
            steps += [ZERO.sub(r"\1.", f"{part:g}") for part in step]
    return "l" + " ".join(steps).replace(" -", "-")


def _line(found: re.Match) -> str:
    numbers = [float(number) for number in NUMBERS.findall(found[0])]
    return f"M{numbers[0]:g} {numbers[1]:g}{_steps(numbers)}"


def _path(found: re.Match) -> str:
    path = DECIMAL.sub(_rounded, found[0])
    path = re.sub(r"\s*([A-Za-z])\s*", r"\1", path).strip()
    return LINE.sub(_line, path)


def _marks(found: re.Match) -> str:
    marks = re.sub(r"\s+(?=<)", "", found[0].replace(found[1], ""))
    return f"<g{found[1]}>{marks}</g>"


def _outline(found: re.Match) -> str:
    """Return a letter's outline in larger units, point after point."""
    parts, start, here, before = [], (0, 0), (0, 0), ""
    for command, text in COMMAND.findall(found[1]):
        values = [round(float(n) / COARSER) for n in NUMBERS.findall(text)]
        points = [*zip(values[::2], values[1::2], strict=True)]
        if command == "z":
            here = start
        elif command == "M":
            start = points[0]
        else:
            values = [
                part for x, y in points for part in (x - here[0], y - here[1])
            ]
            command = command.lower()
        here = points[-1] if points else here
        letter = " " if command == before else command
        parts.append(letter + " ".join(map(str, values)))
        before = command
    path = "".join(parts).replace(" -", "-")
    return f'{path}" transform="scale({COARSER / 64:g})"'


def _letter(found: re.Match) -> str:
    x, y = (
        f"{float(part):.1f}".removesuffix(".0") for part in found.group(2, 3)
    )
    return f'{found[1]} x="{x}"' + (f' y="{y}"' if y != "0" else "")


def small(svg: str) -> str:
    """Return a picture that looks the same and takes less.

    Coordinates have the digits that a screen shows, marks of one kind state
    their colour once, and names are short, of what is named at all.
    """
    svg = OUTLINE.sub(_outline, METADATA.sub("", svg))
    svg = PATH.sub(_path, svg)
    svg = PLACE.sub(lambda place: DECIMAL.sub(_rounded, place[0]), svg)
    svg = MARKS.sub(_marks, svg)
    svg = LETTER.sub(_letter, svg.replace("xlink:href", "href"))
    asked = {*NAMED.findall(svg)}
    names = (name for name in NAME.findall(svg) if name in asked)
    short = {name: f"i{number}" for number, name in enumerate(names)}
    svg = NAMED.sub(lambda name: f"#{short.get(name[1], name[1])}", svg)
    svg = NAME.sub(
        lambda name: f' id="{short[name[1]]}"' if name[1] in short else "",
        svg,
    )
    return re.sub(r">\s+<", "><", svg)


def _dark(found: re.Match) -> str:
    code = found[0][1:]
    colour = [int(code[i : i + 2], 16) for i in (0, 2, 4)]
    hue, light, saturation = colorsys.rgb_to_hls(*(c / 255 for c in colour))
    spread = (max(colour) - min(colour)) / 255
    if spread <= NEUTRAL:
        mixed = [i + (p - i) * light for i, p in zip(INK, PAPER, strict=True)]
    else:
        light = max(light, DIM)
        mixed = [
            255 * part for part in colorsys.hls_to_rgb(hue, light, saturation)
        ]
    return "#" + "".join(f"{round(part):02x}" for part in mixed)


def dark(svg: str) -> str:
    """Return a picture for the dark theme.

    Greys change places, from the theme's ink for black to its paper for
    white. A colour keeps its hue, and is lightened where it would be lost.
    What is drawn as pixels stays as it is.
    """
    parts = re.split(r"(<image .*?/>)", svg, flags=re.DOTALL)
    parts[::2] = [COLOUR.sub(_dark, part) for part in parts[::2]]
    ink = "#" + "".join(f"{part:02x}" for part in INK)
    # Black is what a shape without a colour has, as letters do.
    return "".join(parts).replace("<svg ", f'<svg fill="{ink}" ', 1)


def pixels(svg: str) -> tuple[int, int] | None:
    """Return width and height at which a browser shows a picture.

    They are None of one that matplotlib did not draw.
    """
    size = SIZE.search(svg)
    if not size:
        return None
    width, height = (round(POINT * float(points)) for points in size.groups())
    return width, height


def show_both_themes(site: Path) -> None:
    """Put both pictures in the place of each one that matplotlib drew."""
    sizes = {}
    for path in (site / "_images").glob("*.svg"):
        svg = path.read_text(encoding="utf-8")
        size = pixels(svg)
        if size is None:
            continue
        sizes[path.name] = size
        svg = small(svg)
        path.write_text(svg, encoding="utf-8")
        path.with_suffix(".dark.svg").write_text(dark(svg), encoding="utf-8")

    def both(found: re.Match) -> str:
        name = Path(found[2]).name
        if name not in sizes:
            return found[0]
        width, height = sizes[name]
        size = (
            f'width="{width}" height="{height}" loading="lazy" '
            f'style="--least:{round(LEAST * width)}px"'
        )
        light = f'<img class="picture only-light" {size} {found[1]}>'
        address = found[2].removesuffix(".svg")
        night = found[1].replace(
            f'src="{found[2]}"', f'src="{address}.dark.svg"'
        )
        night = f'<img class="picture only-dark" {size} {night}>'
        return f'<span class="pictures">{light}{night}</span>'

    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(IMAGE.sub(both, text), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    once_built(app, show_both_themes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
