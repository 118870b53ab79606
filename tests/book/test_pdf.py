"""The book on paper: made of small pages, its numbers, outline and links."""

import pytest
from bs4 import BeautifulSoup
from make_pdf import for_paper, make_pdf
from pypdf import PdfReader

PAGE = """<!doctype html><html data-theme="auto"><head><title>.</title></head><body><article>
<h1>{title}<a class="headerlink" href="#">#</a></h1>{text}</article></body></html>"""
FIRST = """
<p><a href="second.html#there">a place</a> <a href="second.html">a page</a> <a href="#here">here</a>
<a href="second.html#nowhere">no place</a> <a href="../search.html">search</a>
<a href="https://example.org/x">elsewhere</a></p>
<div class="asked"><details><summary>Replies</summary><p>the reply</p></details></div>
<div class="live">a still</div><script>document.querySelector(".live").remove()</script>
<h2 id="here" style="break-before: page">A &amp; B</h2>"""
SECOND = """<p>One page long. <a href="index.html">back</a></p>
<h2 id="there" style="break-before: page">There, {words}</h2><h3>Deeper</h3>""".format(
    words="word " * 60
)
TOC = """format: jb-book
root: book/index
parts:
  - caption: A part
    chapters:
      - file: book/second
"""


@pytest.fixture(scope="module")
def printed(browser, tmp_path_factory):
    site = tmp_path_factory.mktemp("site")
    (site / "book").mkdir()
    (site / "book/index.html").write_text(PAGE.format(title="The book", text=FIRST))
    (site / "book/second.html").write_text(PAGE.format(title='A "second"', text=SECOND))
    (site / "_toc.yml").write_text(TOC)
    assert make_pdf(browser, site, site / "_toc.yml", site / "book.pdf") == 4
    return PdfReader(site / "book.pdf")


def test_each_sheet_has_its_number_and_what_it_belongs_to(printed):
    lines = [page.extract_text().split("\n") for page in printed.pages]
    assert [[word for word in words if word.isdigit()] for words in lines] == [
        ["1"],
        ["2"],
        ["3"],
        ["4"],
    ]
    for words, title in zip(lines, ["The book"] * 2 + ['A "second"'] * 2, strict=True):
        assert title in words[:3]
    assert printed.metadata.title == "The book"


def test_on_paper_replies_are_open_and_nothing_has_run(printed):
    words = printed.pages[0].extract_text()
    assert "the reply" in words
    assert "a still" in words
    assert "#" not in words


def test_the_outline_holds_parts_pages_and_sections(printed):
    def titles(outline):
        return [titles(item) if isinstance(item, list) else item.title for item in outline]

    assert titles(printed.outline) == [
        "The book",
        ["A & B"],
        "A part",
        ['A "second"', [f"There, {'word ' * 60}".strip(), ["Deeper"]]],
    ]
    part, second = printed.outline[2:]
    places = [printed.get_destination_page_number(each) for each in (part, second[0], second[1][0])]
    assert places == [2, 2, 3]


def test_links_lead_into_the_pdf_or_out_of_it_and_those_to_no_page_go(printed):
    found = []
    for page in printed.pages:
        for link in (each.get_object() for each in page.get("/Annots", ())):
            if "/Dest" in link:
                sheet, _, _, top, _ = link["/Dest"]
                number = printed.get_page_number(sheet.get_object())
                found.append((number, top > 0))
            else:
                found.append(link["/A"]["/URI"])
    there, page, here, nowhere, elsewhere, *rest = found
    assert (there, page, here, nowhere) == ((3, True), (2, True), (1, True), (2, True))
    assert elsewhere == "https://example.org/x"
    assert (0, True) in rest


def test_pictures_are_loaded_and_light():
    page = PAGE.format(title="T", text='<img src="x.svg" loading="lazy">')
    paper = BeautifulSoup(for_paper(BeautifulSoup(page, "html.parser"), set(), 0), "html.parser")
    assert paper.html["data-theme"] == "light"
    assert "loading" not in paper.img.attrs
