"""The book's own Sphinx extensions, alone and in a small book built with the real configuration."""

import base64
import io
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
import yaml
from bs4 import BeautifulSoup
from docutils import nodes
from docutils.utils import new_document
from fontTools.ttLib import TTFont
from jupyter_cache import get_cache
from sphinx.errors import ConfigError

import bnn_tutorial as bt

ADDRESS = "https://github.com/someone/some-book"


@pytest.fixture
def extension(root, monkeypatch):
    """Imports one of the book's extensions by its name."""
    monkeypatch.syspath_prepend(root / "book" / "_extensions")
    return import_module


@pytest.fixture
def build(root, tmp_path):
    """Builds a book of one notebook and one page in a folder that git does not know."""
    configuration = yaml.safe_load((root / "_config.yml").read_text())
    (tmp_path / "_config.yml").write_text(yaml.safe_dump(configuration))
    toc = {"format": "jb-book", "root": "book/index", "chapters": [{"file": "book/page"}]}
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(toc))
    shutil.copy(root / "requirements.txt", tmp_path)
    for part in ("_extensions", "_root", "_static"):
        shutil.copytree(root / "book" / part, tmp_path / "book" / part)
    (tmp_path / "book" / "references.bib").touch()
    (tmp_path / "book" / "page.md").write_text("# A page\n")

    def run(
        code: str = "1 + 1", text: str = "", tags: Sequence[str] = (), **environment: str
    ) -> subprocess.CompletedProcess:
        markdown = nbformat.v4.new_markdown_cell(f"# Title\n\n{text}")
        cells = [markdown, nbformat.v4.new_code_cell(code, metadata={"tags": [*tags]})]
        kernel = {"name": "python3", "display_name": "Python 3"}
        notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
        nbformat.write(notebook, tmp_path / "book" / "index.ipynb")
        inherited = {k: v for k, v in os.environ.items() if k != "BNN_TUTORIAL_REPOSITORY"}
        program = Path(sys.executable).with_name("jupyter-book")
        return subprocess.run(
            [program, "build", tmp_path, "-W", "-n", "--keep-going"],
            env=inherited | environment,
            capture_output=True,
            text=True,
        )

    return run


def links(path: Path) -> list[str]:
    """Every address that the page leads to."""
    page = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    return [link["href"] for link in page.select("a[href]")]


def test_known_repository_gives_buttons_and_one_install_cell(build, tmp_path):
    built = build(BNN_TUTORIAL_REPOSITORY=f"{ADDRESS}.git")
    assert built.returncode == 0, built.stderr
    site = tmp_path / "_build" / "html"
    colab = "https://colab.research.google.com/github/someone/some-book/blob/gh-pages/_sources/"
    for page in ("index", "page"):
        addresses = links(site / "book" / f"{page}.html")
        assert addresses.count(ADDRESS) == 1
        assert sum(address.startswith(f"{ADDRESS}/issues/new") for address in addresses) == 1
    assert f"{ADDRESS}/edit/main/book/index.ipynb" in links(site / "book" / "index.html")
    assert f"{ADDRESS}/edit/main/book/page.md" in links(site / "book" / "page.html")
    assert f"{colab}book/index.ipynb" in links(site / "book" / "index.html")
    assert not any("colab" in address for address in links(site / "book" / "page.html"))

    published = nbformat.read(site / "_sources" / "book" / "index.ipynb", as_version=4)
    nbformat.validate(published)
    code = [cell.source for cell in published.cells if cell.cell_type == "code"]
    assert code[1:] == ["1 + 1"]
    install = [line.strip() for line in code[0].splitlines() if line.strip().startswith("%pip")]
    assert install == [f"%pip install --quiet --no-deps git+{ADDRESS}"]


def test_unknown_repository_gives_neither(build, tmp_path):
    built = build()
    assert built.returncode == 0, built.stderr
    site = tmp_path / "_build" / "html"
    for page in ("index", "page"):
        addresses = links(site / "book" / f"{page}.html")
        assert not any("github" in address or "colab" in address for address in addresses)
    source = tmp_path / "book" / "index.ipynb"
    assert (site / "_sources" / "book" / "index.ipynb").read_bytes() == source.read_bytes()


def test_failing_cell_fails_the_build_and_shows_why(build):
    built = build("1 / 0")
    assert built.returncode != 0
    reason = "book/index.ipynb, cell [1] (1 / 0): ZeroDivisionError: division by zero"
    assert reason in built.stdout + built.stderr


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://github.com/someone/some-book.git", ADDRESS),
        ("https://github.com/someone/some-book", ADDRESS),
        ("git@github.com:someone/some-book.git", ADDRESS),
        ("https://example.org/someone/some-book.git", None),
        (None, None),
    ],
)
def test_address_from_the_git_remote(extension, tmp_path, monkeypatch, remote, address):
    monkeypatch.delenv("BNN_TUTORIAL_REPOSITORY", raising=False)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    if remote:
        subprocess.run(["git", "-C", tmp_path, "remote", "add", "origin", remote], check=True)
    assert extension("repository").repository_address(tmp_path) == address


def test_stated_address_comes_first_and_has_to_be_one(extension, tmp_path, monkeypatch):
    repository = extension("repository")
    monkeypatch.setenv("BNN_TUTORIAL_REPOSITORY", ADDRESS)
    assert repository.repository_address(tmp_path) == ADDRESS
    monkeypatch.setenv("BNN_TUTORIAL_REPOSITORY", "some-book")
    with pytest.raises(ConfigError, match=r"'some-book'; expected https://github\.com/OWNER/NAME"):
        repository.repository_address(tmp_path)


@pytest.mark.parametrize("changed", ["bnn_tutorial/layers.py", "requirements.txt", "new"])
def test_executed_notebooks_are_dropped_when_the_package_changes(extension, tmp_path, changed):
    execution = extension("execution")
    package = tmp_path / "bnn_tutorial"
    package.mkdir()
    (package / "layers.py").write_text("1")
    (tmp_path / "requirements.txt").write_text("torch==1")

    def cache() -> Path:
        path = execution.cache_folder(tmp_path)
        path.mkdir(parents=True, exist_ok=True)
        return path

    first = cache()
    (tmp_path / "README.md").write_text("not what a notebook imports")
    assert cache() == first
    assert first.exists()
    (package / "layers_2.py" if changed == "new" else tmp_path / changed).write_text("2")
    assert cache() != first
    assert not first.exists()


@pytest.fixture
def small_book(root, tmp_path):
    """Two notebooks and what executes them: ``write(name, *cells)`` writes one anew."""
    (tmp_path / "requirements.txt").touch()
    toc = {"format": "jb-book", "root": "first", "chapters": [{"file": "second"}]}
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(toc))
    program = tmp_path / "book" / "_extensions" / "execution.py"
    program.parent.mkdir(parents=True)
    shutil.copy(root / "book" / "_extensions" / "execution.py", program)

    def write(name: str, *code: str) -> None:
        cells = [nbformat.v4.new_code_cell(source) for source in code]
        kernel = {"name": "python3", "display_name": "Python 3"}
        notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
        nbformat.write(notebook, tmp_path / f"{name}.ipynb")

    def execute() -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, program], capture_output=True, text=True)

    write("first", "import os", "os.environ['OMP_NUM_THREADS']")
    write("second", "1 + 1")
    return tmp_path, write, execute


def test_a_notebook_is_executed_once_until_it_changes(extension, small_book):
    root, write, execute = small_book
    done = execute()
    assert (done.returncode, done.stderr) == (0, "")
    assert "first.ipynb took" in done.stdout
    assert "second.ipynb took" in done.stdout
    cache = get_cache(extension("execution").cache_folder(root))
    _, executed = cache.merge_match_into_notebook(nbformat.read(root / "first.ipynb", 4))
    assert executed.cells[1].outputs[0].data["text/plain"] == "'1'"  # one thread
    assert [record.data["execution_seconds"] > 0 for record in cache.list_cache_records()] == [
        True
    ] * 2

    assert "took" not in execute().stdout
    write("second", "1 + 2")
    said = execute().stdout
    assert "second.ipynb took" in said
    assert "first.ipynb took" not in said


def test_a_cell_that_fails_is_named_last_and_the_other_notebooks_are_kept(small_book):
    _, write, execute = small_book
    write("first", "one = 1", "# the claim\nassert one == 2, f'{one} is not 2'", "one")
    done = execute()
    assert done.returncode == 1
    last = "FAILED first.ipynb, cell [2] (# the claim): AssertionError: 1 is not 2"
    assert done.stdout.splitlines()[-1] == last
    assert "first.ipynb failed after" in done.stdout
    assert "second.ipynb took" in done.stdout
    write("first", "import os", "os.kill(os.getpid(), 9)")
    done = execute()
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith("FAILED first.ipynb, DeadKernelError")
    assert "second" not in done.stdout


@pytest.fixture
def interruptible():
    """Programs that hear an interruption: those that a shell starts in the background do not."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interruption_ends_at_once_and_keeps_what_was_executed(small_book):
    root, write, _ = small_book
    write("first", "import time", "open('started', 'w').close()\ntime.sleep(1000)")
    program = root / "book" / "_extensions" / "execution.py"
    with subprocess.Popen(
        [sys.executable, "-u", program], stdout=subprocess.PIPE, text=True
    ) as run:
        while "second.ipynb took" not in run.stdout.readline():
            pass
        while not (root / "started").exists():
            assert run.poll() is None
        run.send_signal(signal.SIGINT)
        assert "Stopped" in run.stdout.read()
    assert run.returncode == 130


def test_a_readers_own_run_is_mended_too(root, tmp_path):
    probe = """
from nbclient.output_widget import OutputWidget

def pytest_sessionfinish():
    print("mended:", OutputWidget._publish_msg.__wrapped__.__name__)
"""
    (tmp_path / "probe.py").write_text(probe)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "probe", "--nbmake", "--collect-only", "book"],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert "mended: _publish_msg" in done.stdout, done.stdout + done.stderr


def test_a_long_message_is_named_by_its_first_line(small_book):
    _, write, execute = small_book
    write("first", "raise ValueError('no such thing\\n\\nbut more of it\\n')")
    last = (
        "FAILED first.ipynb, cell [1] (raise ValueError('no such thing\\n\\nbut more of it\\n')): "
    )
    assert execute().stdout.splitlines()[-1] == f"{last}ValueError: no such thing"


def test_page_holds_an_interactive_figure_once(build, tmp_path):
    result = build("from bnn_tutorial import figures\nfigures.BayesByCounting()")
    assert result.returncode == 0, result.stderr
    page = BeautifulSoup((tmp_path / "_build/html/book/index.html").read_text(), "html.parser")
    kinds = [script.get("type", "") for script in page.select("script")]
    assert kinds.count("application/json") == 2  # its module and its traits
    assert len(page.select("script[data-module]")) == 1
    assert not [kind for kind in kinds if "widget" in kind]


ENTRIES = """# Glossary

```{glossary}
ELBO
evidence lower bound
  A bound on the log evidence. Its gap is a KL.

  Read: [the page](page.md)

KL
  Nats <wasted>.

posterior
  After the data.

approximate posterior
  What is trained in its place.
```
"""


def test_first_uses_of_terms_lead_to_the_glossary_and_carry_the_definition(build, tmp_path):
    toc = yaml.safe_load((tmp_path / "_toc.yml").read_text())
    toc["chapters"].append({"file": "book/glossary"})
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(toc))
    (tmp_path / "book" / "glossary.md").write_text(ENTRIES)
    (tmp_path / "book" / "page.md").write_text("# A page\n\nThe posterior of no notebook.\n")
    text = """## About the ELBO

`posterior`, $KL$, [an ELBO](page.md) and a KLT are left alone. **Approximate
posteriors** are one entry, and the evidence
lower bound another. The ELBO was met; the posterior was not."""
    built = build(text=text)
    assert built.returncode == 0, built.stderr
    site = tmp_path / "_build" / "html" / "book"
    page = BeautifulSoup((site / "index.html").read_text(), "html.parser")
    terms = page.select("a.term")
    assert [" ".join(term.text.split()) for term in terms] == [
        "Approximate posteriors",
        "evidence lower bound",
        "posterior",
    ]
    described = [page.find(id=term["aria-describedby"]) for term in terms]
    assert [text.text for text in described] == [
        "What is trained in its place.",
        "A bound on the log evidence. Its gap is a KL.",
        "After the data.",
    ]
    assert all(text.find_parent(hidden=True) for text in described)
    glossary = BeautifulSoup((site / "glossary.html").read_text(), "html.parser")
    for term in terms:
        path, _, anchor = term["href"].partition("#")
        assert (path, glossary.find(id=anchor).name) == ("glossary.html", "dt")
    for other in ("page", "glossary"):
        assert not BeautifulSoup((site / f"{other}.html").read_text(), "html.parser").select(
            "a.term"
        )

    changed = ENTRIES.replace("After the data.", "<After> more data.")
    (tmp_path / "book" / "glossary.md").write_text(changed)
    assert build(text=text).returncode == 0
    page = BeautifulSoup((site / "index.html").read_text(), "html.parser")
    assert page.find(id=terms[2]["aria-describedby"]).text == "<After> more data."


def test_a_name_is_found_as_a_word_with_its_own_capitals(extension):
    terms = extension("terms")
    document = nodes.document(None, None)
    text = "Mean\nfields, MAPs and Draws; a map, a post-MAP and redraws."
    document += nodes.paragraph("", text)
    names = ("mean field", "MAP", "draw", "absent")
    found = [terms.Entry(f"term-{name}", (name,), "") for name in names]
    used = terms.link_first_uses(document, found, "glossary.html")
    assert [entry.names[0] for entry in used] == ["mean field", "MAP", "draw"]
    links = [BeautifulSoup(raw.astext(), "html.parser").a for raw in document.findall(nodes.raw)]
    assert [link.text for link in links] == ["Mean\nfields", "MAPs", "Draws"]
    assert document.astext().endswith("; a map, a post-MAP and redraws.")


SOURCE = """@article{someone2020, author = {Ann Other}, title = {A paper}, journal = {Journal},
year = {2020}, url = {https://example.org}}"""
TARGETS = r"""# A page

Of {cite:t}`someone2020`, $a^2$, and of what *follows* from both of them in the end.
Its second sentence is long, so long that it can't be kept, since together with the first
it would be more than what is shown.

$$
\frac{a}{b}
$$ (far)

## A part of it

Begins here.

```{figure} picture.svg
:name: a-figure

What is seen.
```
"""


@pytest.fixture
def linked_book(build, tmp_path):
    """Builds the book with a page to lead to and a bibliography."""
    toc = yaml.safe_load((tmp_path / "_toc.yml").read_text())
    toc["chapters"] += [{"file": "book/bibliography"}, {"file": "book/run_times"}]
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(toc))
    (tmp_path / "book" / "references.bib").write_text(SOURCE)
    (tmp_path / "book" / "bibliography.md").write_text("# Sources\n\n```{bibliography}\n```\n")
    (tmp_path / "book" / "run_times.md").write_text("# Times\n\n```{nb-exec-table}\n```\n")
    (tmp_path / "book" / "page.md").write_text(TARGETS)
    shutil.copy(tmp_path / "book" / "_static" / "logo.svg", tmp_path / "book" / "picture.svg")

    def run(text: str, **environment: str) -> Path:
        built = build(text=text, **environment)
        assert built.returncode == 0, built.stderr
        return tmp_path / "_build" / "html"

    return run


def test_links_carry_once_what_they_lead_to(linked_book):
    text = """{eq}`far`, {eq}`far` again, {eq}`near`, [the page](page.md),
[a part](page.md#a-part-of-it), {ref}`a figure <a-figure>` and {cite:p}`someone2020`.

$$
c
$$ (near)
"""
    site = linked_book(text)
    page = BeautifulSoup((site / "book" / "index.html").read_text(), "html.parser")
    [kept] = page.select(".previews[hidden]")
    found = {
        part["id"].removeprefix("preview-of-"): part
        for part in kept.find_all(recursive=False, id=True)
    }
    addresses = [link["href"] for link in page.select("article p a.internal")]
    assert addresses.count("page.html#equation-far") == 2
    assert {*found} == {*addresses} - {"#equation-near"}
    assert page.select_one("[id='equation-near'].math > .katex-display")

    formula = found.pop("page.html#equation-far")
    assert formula.select_one("p").text == "A page"
    assert "ba" in formula.select_one(".katex-html .mfrac").text  # the lower line is the first
    assert not formula.select("math")  # spoken where it stands
    lines = {address: [line.text for line in part.select("p")] for address, part in found.items()}
    [source] = [address for address in lines if address.startswith("bibliography.html#")]
    assert lines.pop(source) == ["Ann Other. A paper. Journal, 2020."]
    assert lines == {
        "page.html": ["A page"],  # its first words, a citation, are not known yet
        "page.html#a-part-of-it": ["A part of it", "A page", "Begins here."],
        "page.html#a-figure": ["What is seen.", "A page"],
    }
    assert not page.select("article a.internal[title]")


def test_pages_describe_themselves_and_name_a_known_address(linked_book):
    site = linked_book("Some **words** of $\\alpha$.\n\nMore.", BNN_TUTORIAL_REPOSITORY=ADDRESS)
    address = "https://someone.github.io/some-book/"
    heads = {}
    for name in ("index", "page"):
        page = BeautifulSoup((site / "book" / f"{name}.html").read_text(), "html.parser")
        heads[name] = {
            tag.get("name", tag.get("property")): tag["content"]
            for tag in page.select("meta[content]")
        }
        assert page.select_one("link[rel=canonical]")["href"] == f"{address}book/{name}.html"
        assert heads[name]["og:url"] == f"{address}book/{name}.html"
        assert heads[name]["og:description"] == heads[name]["description"]
    assert heads["index"]["description"] == "Some words of α."
    assert heads["index"]["og:title"] == "Title"
    assert heads["page"]["description"] == (
        "Of Other, a2, and of what follows from both of them in the end."
    )
    image = heads["page"]["og:image"].removeprefix(address)
    assert (site / image).is_file()

    assert f"Sitemap: {address}sitemap.xml" in (site / "robots.txt").read_text()
    places = re.findall("<loc>(.*)</loc>", (site / "sitemap.xml").read_text())
    assert f"{address}book/index.html" in places
    assert len(places) == 4
    assert all((site / place.removeprefix(address)).is_file() for place in places)

    lost = BeautifulSoup((site / "404.html").read_text(), "html.parser")
    assert lost.head.find(True, href=True) is lost.base
    assert lost.base["href"] == f"{address}404.html"
    for link in lost.select("a[href], form[action]"):
        place = link.get("href", link.get("action"))
        assert place.startswith(("#", "http")) or (site / place).is_file()
    assert lost.select("nav a[href='book/page.html']")
    assert lost.select("article form[action='search.html'] input[name=q]")


def test_an_unknown_address_is_not_named(linked_book):
    site = linked_book("Words.")
    assert not (site / "sitemap.xml").exists()
    assert not (site / "robots.txt").exists()
    page = BeautifulSoup((site / "book" / "index.html").read_text(), "html.parser")
    assert not page.select("[rel=canonical], [property='og:url'], [property='og:image'], base")
    assert page.select_one("[name=description]")["content"] == "Words."
    assert not BeautifulSoup((site / "404.html").read_text(), "html.parser").base

    table = BeautifulSoup((site / "book" / "run_times.html").read_text(), "html.parser").table
    head, row = table.select("tr")
    assert [cell.text for cell in head.select("th")] == ["Notebook", "Seconds", "State"]
    title, seconds, state = row.select("td")
    assert (title.a["href"], title.text, state.text) == ("index.html", "Title", "passed")
    assert float(seconds.text) >= 0
    footer = page.select_one("footer .extra_footer").text
    assert f"Version {bt.__version__} of the package." in footer


@pytest.mark.parametrize(
    ("repository", "site"),
    [
        ("https://github.com/Some-One/Some-Book", "https://some-one.github.io/Some-Book/"),
        ("https://github.com/Some-One/some-one.github.io", "https://some-one.github.io/"),
    ],
)
def test_the_site_s_address_follows_from_the_repository_s(extension, repository, site):
    assert extension("repository").site_address(repository) == site


def test_a_description_is_whole_sentences_or_says_that_it_is_cut(extension):
    shortened = extension("plain_text").shortened
    assert shortened("One\n two .") == "One two."
    assert shortened("A first sentence. A second, which is longer.", 20) == "A first sentence."
    assert shortened("A sentence, that goes on and on.", 14) == "A sentence…"
    assert len(shortened("word " * 100)) <= 160


def test_formulas_are_spoken_and_seen(extension):
    found = BeautifulSoup(extension("formulas").formula(r"\frac{a}{b}", False), "html.parser")
    assert found.select_one("math mfrac").text == "ab"
    assert found.select_one("annotation").text == r"\frac{a}{b}"
    assert found.select_one(".katex-html")["aria-hidden"] == "true"
    assert not found.select(".katex-display")
    assert "katex-display" in extension("formulas").formula("a", True)


def test_a_long_formula_is_whole(extension):
    tex = " + ".join(rf"\mathbb{{E}}_{{{i}}}\left[\frac{{a}}{{b}}\right]" for i in range(300))
    found = BeautifulSoup(extension("formulas").formula(tex, True), "html.parser")
    assert found.select_one("annotation").text == tex
    assert len(found.select("mfrac")) == 300


def test_formulas_of_a_page_are_set_and_numbered(build, tmp_path):
    text = "Inline $a^2$ and {eq}`one`.\n\n$$\nb\\\\\nc\n$$ (one)\n\n"
    text += r"\begin{align*}d&=e\end{align*}"
    code = """from IPython.display import HTML
HTML(r'<p class="has-formulas">\\(f&lt;g\\)</p>')"""
    process = build(code, text)
    assert process.returncode == 0, process.stderr
    page = BeautifulSoup((tmp_path / "_build/html/book/index.html").read_text(), "html.parser")
    article = page.select_one("article")
    shown = [annotation.text for annotation in article.select("annotation")]
    assert "a^2" in shown
    assert r"\begin{split}b\\" in "".join(shown)
    assert "f<g" in shown
    assert article.select_one("#equation-one .eqno").text.startswith("(1)")
    assert article.select_one("a[href='#equation-one']").text == "(1)"
    assert not page.select("script[src*=mathjax i]")
    [style] = (tmp_path / "_build/html/_static").glob("book-*.css")
    assert ".katex-display" in style.read_text()


def test_what_goes_on_below_stands_further_in_than_its_line(build, tmp_path, browser):
    names = "first_of_all_numbers", "second_of_all_numbers", "third_of_all_numbers"
    code = f"{' = '.join(names)} = 1\nif True:\n    total = {' + '.join(names)}"
    process = build(code)
    assert process.returncode == 0, process.stderr
    page = browser.new_page(viewport={"width": 375, "height": 700})
    page.goto((tmp_path / "_build/html/book/index.html").as_uri())
    block = page.locator("div.highlight pre").first
    copied = block.evaluate("""(pre) => {
      getSelection().selectAllChildren(pre);
      return getSelection().toString();
    }""")
    assert copied.rstrip("\n") == block.text_content().rstrip("\n") == code
    lines = block.locator(".long-line")
    assert lines.count() == 2  # of three
    edges = lines.last.evaluate("""(line) => {
      const range = document.createRange();
      range.selectNodeContents(line);
      const starts = new Map();
      for (const {left, top, width} of range.getClientRects())
        if (width && !(starts.get(top) <= left)) starts.set(top, left);
      return [...starts.values()];
    }""")
    assert len(edges) >= 2
    character = block.evaluate("(pre) => parseFloat(getComputedStyle(pre).fontSize)") * 0.6
    assert min(edges[1:]) > edges[0] + 7 * character  # the line begins with four spaces
    page.close()


def test_a_short_formula_keeps_its_punctuation(build, tmp_path):
    text = "As ($a$), with $b$: both, $c$ or $d$-fold “$e$”; " + f"${'f+' * 30}g$, and **$h$**."
    process = build(text=text)
    assert process.returncode == 0, process.stderr
    page = BeautifulSoup((tmp_path / "_build/html/book/index.html").read_text(), "html.parser")
    article = page.select_one("article")
    for spoken in article.select(".katex-mathml"):
        spoken.decompose()
    assert [kept.text for kept in article.select(".kept-whole")] == ["(a),", "b:", "d-", "“e”;"]
    assert "As (a), with b: both, c or d-fold “e”;" in article.text


def test_a_formula_that_cannot_be_set_fails_the_build(build):
    process = build(text=r"A command that is none: $\nosuchcommand$")
    assert process.returncode != 0
    assert r"Undefined control sequence: \nosuchcommand" in process.stderr


def test_katex_is_the_package_that_is_locked(root, node_modules, tmp_path):
    copy_katex = import_module("copy_katex")
    program, style = tmp_path / "program" / "katex.min.js", tmp_path / "style" / "katex.min.css"
    copy_katex.copy(node_modules / "katex", program, style)
    for made, kept in ((program, copy_katex.PROGRAM), (style, copy_katex.STYLE)):
        files = [path for path in sorted(made.parent.rglob("*")) if path.is_file()]
        assert files
        for path in files:
            assert path.read_bytes() == (kept.parent / path.relative_to(made.parent)).read_bytes()
        kept_files = [path for path in kept.parent.rglob("*") if path.is_file()]
        assert len(kept_files) == len(files)
    assert "woff2" in copy_katex.STYLE.read_text()
    assert ".ttf" not in copy_katex.STYLE.read_text()


PLOT = """import matplotlib.pyplot as plt
from bnn_tutorial import plotting
plotting.use_style()
figure, ax = plt.subplots(figsize=(4, 3))
ax.scatter(range(30), range(30), color=plotting.BLUE)
ax.imshow([[0, 1]], cmap="gray")
ax.set(title="white on black");"""


TABLE = """from IPython.display import HTML
HTML("<table><tr><td>1</td></tr></table>")"""


WIDE = """
| | accuracies | differences | of a $p$ |
| --- | --- | --- | --- |
| `unfamiliar_inputs` | 0.99 | | conformal |

| one | two | three |
| --- | --- | --- |
| 1 | 2 | 3 |

| name | what an entry of this table is called |
| --- | --- |
| unfamiliar_inputs_and_calibration | bnn_tutorial_unfamiliar |
"""


def test_a_table_wider_than_a_phone_names_its_columns_in_each_cell(build, tmp_path):
    assert build(text=WIDE).returncode == 0
    path = tmp_path / "_build/html/book/index.html"
    tables = BeautifulSoup(path.read_text(), "html.parser").select("main table")
    assert ["stacks" in table["class"] for table in tables] == [True, False, False]
    cells = [cell.get_text(strip=True) for cell in tables[0].select("tbody td")]
    assert cells[:3] == ["unfamiliar_inputs", "accuracies0.99", ""]
    names = tables[0].select("td .column-name")
    assert [bool(name.select(".katex")) for name in names] == [False, True]
    assert not tables[1].select(".column-name")


def test_a_picture_has_its_size_and_a_second_one_for_the_dark(build, tmp_path):
    assert build(PLOT).returncode == 0
    path = tmp_path / "_build/html/book/index.html"
    page = BeautifulSoup(path.read_text(), "html.parser")
    light, dark = page.select(".cell_output .pictures > img")
    assert light["class"] == ["picture", "only-light"]
    assert dark["class"] == ["picture", "only-dark"]
    assert light["alt"] == dark["alt"]
    for image in (light, dark):
        assert image["loading"] == "lazy"
        assert 300 < int(image["width"]) < 450
        assert 200 < int(image["height"]) < 350
        assert image["style"] == f"--least:{round(0.75 * int(image['width']))}px"
    texts = [(path.parent / image["src"]).resolve().read_text() for image in (light, dark)]
    pixels = [re.findall(r"<image[^>]*>", text) for text in texts]
    assert len(pixels[0]) == 1
    assert pixels[0] == pixels[1]
    assert "#ffffff" in texts[0]
    assert "#ffffff" not in texts[1].replace(pixels[1][0], "")
    assert all(text.count("fill-opacity") < 3 for text in texts)  # once for all marks


@pytest.mark.parametrize(
    ("colour", "dark"),
    [
        ("#000000", "#ced6dd"),
        ("#FFFFFF", "#121212"),
        ("#E69F00", "#e69f00"),
        ("#0072B2", "#0093e6"),
    ],
)
def test_greys_change_places_and_colours_keep_their_hue(extension, colour, dark):
    svg = f'<svg width="1"><path fill="{colour}"/></svg>'
    assert f'<path fill="{dark}"/>' in extension("pictures").dark(svg)


def test_a_small_picture_shows_the_same(extension):
    marks = "".join(
        f'<use xlink:href="#mabc123456" x="{i}.123456" y="0.987654" style="fill: #123456"/>\n '
        for i in (0, 11)
    )
    other = '<use xlink:href="#mabc123456" x="1" y="2" style="fill: #654321"/>'
    svg = f"""<svg><metadata>a</metadata><!-- a --><defs><path id="mabc123456" d="M 0.123456 -0.004
L 12.3456 1.50
z
" style="a"/></defs>
{marks}{other}<g id="text_1"><text>1.23456 mabc123456x</text></g></svg>"""
    assert extension("pictures").small(svg) == (
        '<svg><defs><path id="i0" d="M0.12 0l12.18 1.5z" style="a"/></defs>'
        '<g style="fill: #123456"><use href="#i0" x="0.12" y="0.99"/>'
        '<use href="#i0" x="11.1" y="0.99"/></g>'
        '<use href="#i0" x="1" y="2" style="fill: #654321"/>'
        "<g><text>1.23456 mabc123456x</text></g></svg>"
    )


def test_letters_keep_outline_and_place(extension):
    """In units of 16, each point rounded for itself, so that no error adds up."""
    letter = (
        '<defs><path id="DejaVuSans-4c" d="M 24 160 \nL 600 160 \nL 600 3000 \n'
        'Q 610 3100 700 3108 \nz\nM 0 -16 \nL 31 0 \nz\n" transform="scale(0.015625)"/></defs>'
    )
    word = (
        '<use xlink:href="#DejaVuSans-4c"/>'
        '<use xlink:href="#DejaVuSans-4c" transform="translate(61.628906 0)"/>'
        '<use xlink:href="#DejaVuSans-4c" transform="translate(99.96 -16.39)"/>'
        '<use xlink:href="#DejaVuSans-4c" transform="translate(99.96 0) scale(0.7)"/>'
    )
    assert extension("pictures").small(letter + word) == (
        '<defs><path id="i0" d="M2 10l36 0 0 178q0 6 6 6zM0-1l2 1z" '
        'transform="scale(0.25)"/></defs>'
        '<use href="#i0"/><use href="#i0" x="61.6"/><use href="#i0" x="100" y="-16.4"/>'
        '<use href="#i0" transform="translate(99.96 0) scale(0.7)"/>'
    )


def test_a_picture_that_matplotlib_did_not_draw_stays_as_it_is(extension, tmp_path):
    (tmp_path / "_images").mkdir()
    drawn = '<svg width="10" height="20"><path d="M 1.23456 2"/></svg>'
    (tmp_path / "_images" / "own.svg").write_text(drawn)
    page = '<img alt="own" src="_images/own.svg" />'
    (tmp_path / "page.html").write_text(page)
    extension("pictures").show_both_themes(tmp_path)
    assert (tmp_path / "page.html").read_text() == page
    assert [path.read_text() for path in (tmp_path / "_images").iterdir()] == [drawn]


def test_a_line_keeps_its_points(extension):
    svg = '<path d="M 1 1\nL 11.5 0\nL 11.3 0.5\nz\nM 2.04 -3\nL 2.04 -3\nQ 1 2 3 4"/>'
    assert extension("pictures").small(svg) == '<path d="M1 1l10.5-1-.2 .5zM2.04 -3l0 0Q1 2 3 4"/>'


def test_a_line_loses_no_more_than_a_screen_shows(extension):
    line = [(2.0 * i, 50 + 40 * math.sin(i / 10) * math.exp(-i / 150)) for i in range(300)]
    drawn = " L ".join(f"{x:.6f} {y:.6f}" for x, y in line)
    [path] = re.findall(r'd="M([^"]*)"', extension("pictures").small(f'<path d="M {drawn}"/>'))
    numbers = [float(part) for part in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", path)]
    steps = zip(numbers[::2], numbers[1::2], strict=True)
    places = [*accumulate(steps, lambda a, b: (a[0] + b[0], a[1] + b[1]))]
    assert len(places) < 0.7 * len(line)
    xs, ys = zip(*places, strict=True)
    off = [abs(y - np.interp(x, xs, ys)) for x, y in line]
    # 0.05 to the side, where the line is steepest, and a coordinate's own rounding.
    assert max(off) < 0.05 * math.hypot(1, 2) + 0.06
    assert places[-1] == pytest.approx(line[-1], abs=0.06)


def test_a_page_has_what_its_figures_share_once(extension):
    check = bt.figures.Question.check
    answers = ("2 | Yes.", "3 | No.")
    figures = [check("1 + 1?", *answers), check("4 - 2?", *answers), bt.figures.TwoGaussians()]
    whole = "".join(figure.to_html() for figure in figures)
    page = BeautifulSoup(extension("light_pages").without_repeats(whole), "html.parser")
    assert len(page.select("style")) == 3  # one of all figures, one for each kind
    names = [script["data-module"] for script in page.select("script[data-module]")]
    assert names == ["question", "two_gaussians"]
    assert len(page.select("script[id$=-traits]")) == len(page.select("div.bnn-figure")) == 3
    begins = [script.string for script in page.select("script:not([type])")]
    assert ["window.beginFigure" in text for text in begins] == [True, False, False, False]


def test_the_fonts_of_formulas_have_all_that_formulas_show(root, site):
    pages = [
        BeautifulSoup((site / f"book/{name}.html").read_text(), "html.parser")
        for name in ("kl_divergence", "other_roads")
    ]
    shown = {ord(c) for page in pages for tag in page.select(".katex-html") for c in tag.get_text()}
    assert len(shown) > 60
    [sheet] = (site / "_static").glob("book-*.css")
    within = {}  # in the style sheet: those of nearly all formulas, which must not come late
    for data in re.findall(r"data:font/woff2;base64,([\w+/=]+)", sheet.read_text()):
        font = base64.b64decode(data)
        within[TTFont(io.BytesIO(font))["name"].getDebugName(6)] = font
    assert {*within} == {"KaTeX_Main-Regular", "KaTeX_Math-Italic", "KaTeX_AMS-Regular"}
    sizes = []
    for whole in (root / "book/_static/katex/fonts").glob("*.woff2"):
        path = site / "_static/katex/fonts" / whole.name
        assert path.is_file() != (whole.stem in within)
        cut = within.get(whole.stem) or path.read_bytes()
        assert shown & {*TTFont(whole).getBestCmap()} <= {*TTFont(io.BytesIO(cut)).getBestCmap()}
        sizes.append((len(cut), whole.stat().st_size))
    assert sum(cut for cut, _ in sizes) < 0.75 * sum(whole for _, whole in sizes)


def test_bars_say_what_they_fold(extension):
    label = extension("folds").label
    assert label("import os\nx = 1", "") == "Code: imports and settings"
    assert label("x = 1\ndef f():\n    y = 2\nx, z = 3, 4", "") == "Code: f, x, z"
    assert label("for i in (1, 2):\n    j = i\nx[k] = y = 3", "") == "Code: y"
    assert label("a = b = c = d = e = 1", "") == "Code: a, b, c, d, …"
    assert label("print(1)", "") == "Code"
    assert label("import os", "figure") == "Code of this figure"


@pytest.mark.parametrize(
    ("code", "bar"),
    [
        (PLOT, "Code of this figure"),
        (
            TABLE,
            "Code of this table",
        ),
        ("print(1)", "Code of this output"),
        ("def double(x):\n    return 2 * x", "Code: double"),
    ],
)
def test_the_bar_of_a_page_is_named_by_what_stands_below(build, tmp_path, code, bar):
    assert build(code, tags=["hide-input"]).returncode == 0
    page = BeautifulSoup((tmp_path / "_build/html/book/index.html").read_text(), "html.parser")
    [summary] = page.select("article summary")
    assert summary.text.strip() == bar
    assert not summary.has_attr("aria-label")


def test_a_cell_of_which_nothing_is_seen_leaves_no_gap(build, tmp_path):
    assert build("x = 1", tags=["remove-input"]).returncode == 0
    page = BeautifulSoup((tmp_path / "_build/html/book/index.html").read_text(), "html.parser")
    assert page.select("article section")
    assert not page.select("div.cell")


def test_a_page_loads_one_style_sheet_and_one_script(build, tmp_path):
    assert build().returncode == 0
    site = tmp_path / "_build" / "html"
    [sheet] = (site / "_static").glob("book-*.css")
    style = sheet.read_text()
    addresses = re.findall(r"url\(([^)]+)\)", style)
    files = {name for name in addresses if not name.strip("\"'").startswith("data:")}
    assert len(files) > 5
    assert all((sheet.parent / name).is_file() for name in files)
    assert "Licensed under MIT" in style
    assert "@import" not in style
    for path in (site / "book").glob("*.html"):
        page = BeautifulSoup(path.read_text(), "html.parser")
        [link] = page.select("link[rel=stylesheet]")
        assert (path.parent / link["href"]).resolve() == sheet
        [script] = page.select("script[src]")
        assert script.has_attr("defer")
        made = (path.parent / script["src"]).resolve().read_text()
        assert made.index("const Documentation") < made.index("reportError")
        assert made.count("reportError") > 5
        assert not page.select("link[rel=preload]")
        late = page.find("script", string=re.compile("async: false")).string
        assert re.findall(r"/([\w.]+)\.js\?", late) == ["clipboard.min", "copybutton", "bootstrap"]
        assert page.find("script", string=re.compile("const DOCUMENTATION_OPTIONS"))


def test_rules_that_no_page_can_use_are_left_out(extension):
    style = """@charset "utf-8"; /*! A licence */ /* a remark */
    .shown > b, .hidden, b.shown.hidden { color: var(--read); top: calc(1px + 2px) !important }
    #hidden, i:hover, .hidden::before { color: red }
    .shown:not(.hidden)::after { content: "a ,  b" }
    [data-x], *, :root { --read: var(--far); --far: blue; --unread: var(--further); --further: 1 }
    @media (min-width: 1px) { .shown { color: red } .hidden { color: red } }
    @media print { .hidden { color: red } }
    @supports (top: 1px) { @media print { b { --set-by-script: 2 } } }
    @keyframes turn { from { top: 0 } 50% { top: 1px } }"""
    found = extension("light_pages").used_rules(style, {"shown", "b", "--set-by-script"})
    assert found == (
        "/*! A licence */.shown > b{color:var(--read);top:calc(1px + 2px)!important}"
        '.shown:not(.hidden)::after{content:"a ,  b"}'
        "[data-x],*,:root{--read:var(--far);--far:blue}"
        "@media (min-width: 1px){.shown{color:red}}@supports (top: 1px){@media print{"
        "b{--set-by-script:2}}}@keyframes turn{from { top: 0 } 50% { top: 1px }}"
    )


def test_a_page_loads_the_icons_that_it_shows_and_no_others(build, tmp_path):
    assert build(BNN_TUTORIAL_REPOSITORY=ADDRESS).returncode == 0
    site = tmp_path / "_build" / "html"
    assert not list(site.rglob("*fontawesome*"))
    paths = [*site.glob("*.html"), *site.glob("book/*.html")]
    pages = [BeautifulSoup(path.read_text(), "html.parser") for path in paths]
    shown = {n for page in pages for tag in page.select("[class*=fa-]") for n in tag["class"]}
    shown = {name for name in shown if name.startswith("fa-")} - {"fa-solid", "fa-brands"}
    assert {"fa-github", "fa-bars"} <= shown
    [sheet] = (site / "_static").glob("book-*.css")
    points = re.findall(r'\.(fa-[\w-]+):before\{content:"(.)"\}', sheet.read_text())
    assert shown <= {name for name, _ in points} | {"fa-lg"}
    fonts = {font.stem: TTFont(font).getBestCmap() for font in (site / "_static").glob("*.woff2")}
    assert {*fonts} == {"fa-solid-900", "fa-brands-400"}
    assert {ord(point) for _, point in points} <= {*fonts["fa-solid-900"], *fonts["fa-brands-400"]}
    assert sum(map(len, fonts.values())) < 60
    for page in pages:
        assert "vendor/fontawesome" not in str(page)


def test_what_waits_is_known_by_its_height(extension):
    lines = extension("far_sections").lines
    text = nodes.paragraph("", nodes.Text("x" * 96))
    one, two = nodes.paragraph("", nodes.Text("x")), nodes.paragraph("", nodes.Text("x" * 190))
    assert lines(text) == lines(two) == lines(one) + 1
    row = nodes.row("", nodes.entry("", one), nodes.entry("", two))
    assert lines(row) == lines(two)
    assert lines(nodes.section("", text, row)) == 2 * lines(two)
    script = nodes.raw("", f"<script>{'x' * 9000}</script><b>{'x' * 190}</b>", format="html")
    assert lines(script) == 2
    picture = lines(nodes.image())
    assert lines(nodes.raw("", "<svg></svg>", format="html")) == picture > 5
    code = nodes.literal_block("", "\n".join("1234"))
    assert 2 < lines(code) < 4
    folded = nodes.admonition("", code, classes=["dropdown"])
    assert lines(folded) == lines(nodes.comment("", "x" * 900)) == 0


def test_the_rest_of_a_section_waits_and_all_after_it(extension):
    def paragraphs(count):
        return [nodes.paragraph("", nodes.Text(f"{i}")) for i in range(count)]

    title = nodes.title("", "Title")
    first = nodes.section("", *paragraphs(60), nodes.section("", *paragraphs(2)))
    second = nodes.section("", *paragraphs(2), nodes.section("", *paragraphs(1)))
    document = new_document("")
    top = nodes.section("", title, *paragraphs(3), nodes.target(), first, second)
    document += top
    words = document.astext()
    html = SimpleNamespace(builder=SimpleNamespace(format="html"))
    extension("far_sections").mark_far(html, document, "page")
    assert document.astext() == words
    [rest] = document.findall(nodes.compound)
    assert rest.parent is first
    assert first.index(rest) < 30
    assert first.index(rest) + len(rest) == 60
    waits = [node for node in document.findall(nodes.section) if "late-layout" in node["classes"]]
    assert waits == [first[-1], second, second[-1]]
