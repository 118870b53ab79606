"""Buttons that lead to the book's repository, where its address is known.

The address is the environment variable BNN_TUTORIAL_REPOSITORY or, without
it, the git remote `origin` if that is on GitHub. Where it is known, every
page has buttons for the repository, for an issue and to edit its source, and
every notebook page one for Colab. Colab opens the copy of the notebook that
the site publishes in its branch `gh-pages`, which begins by installing the
package; what is edited is the source, in the branch `main`. The address of
the repository also gives that of the site, on GitHub Pages.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import nbformat
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ConfigError

GITHUB = re.compile(
    r"(?:https://|git@)github\.com[/:]([\w.-]+/[\w.-]+?)(?:\.git)?/?"
)

INSTALL = """\
# On Colab: install the book's package. PyTorch and the package's other
# companions are already there and stay as they are.
import importlib.util

if importlib.util.find_spec("bnn_tutorial") is None:
    %pip install --quiet --no-deps git+{address}"""


def repository_address(root: Path) -> str | None:
    """`https://github.com/OWNER/NAME`, or None where nothing names it."""
    stated = os.environ.get("BNN_TUTORIAL_REPOSITORY", "")
    if stated and not GITHUB.fullmatch(stated):
        raise ConfigError(
            f"BNN_TUTORIAL_REPOSITORY is {stated!r}; "
            "expected https://github.com/OWNER/NAME"
        )
    if not stated and shutil.which("git"):
        command = ["git", "-C", root, "remote", "get-url", "origin"]
        answer = subprocess.run(command, capture_output=True, text=True)
        stated = answer.stdout.strip()
    match = GITHUB.fullmatch(stated)
    return f"https://github.com/{match[1]}" if match else None


def site_address(repository: str) -> str:
    """Where GitHub Pages serves a repository's site."""
    owner, name = repository.removeprefix("https://github.com/").split("/")
    host = f"{owner.lower()}.github.io"
    folder = "" if name.lower() == host else f"{name}/"
    return f"https://{host}/{folder}"


def add_buttons(app: Sphinx, config: Config) -> None:
    """Set the address of the site and the theme's options for the buttons."""
    config.repository_address = repository_address(Path(app.srcdir))
    if config.repository_address:
        config.html_baseurl = site_address(config.repository_address)
        config.html_context |= {
            "edit_page_provider_name": "GitHub",
            "edit_page_url_template": (
                f"{config.repository_address}/edit/main/{{{{ file_name }}}}"
            ),
        }
        config.html_theme_options |= {
            "repository_url": config.repository_address,
            "repository_branch": "gh-pages",
            "path_to_docs": "_sources",
            "use_repository_button": True,
            "use_issues_button": True,
            "use_edit_page_button": True,
            "launch_buttons": {
                "colab_url": "https://colab.research.google.com"
            },
        }


def add_install_cells(app: Sphinx, exception: Exception | None) -> None:
    """Put the install cell before the first code of each notebook."""
    address = app.config.repository_address
    if exception or not address or app.builder.format != "html":
        return
    for docname in sorted(app.env.found_docs):
        source = Path(app.env.doc2path(docname))
        if source.suffix == ".ipynb":
            notebook = nbformat.read(source, as_version=4)
            kinds = [cell.cell_type for cell in notebook.cells]
            install = nbformat.v4.new_code_cell(
                INSTALL.format(address=address), id="install"
            )
            notebook.cells.insert(kinds.index("code"), install)
            published = Path(app.outdir, "_sources", f"{docname}.ipynb")
            nbformat.write(notebook, published)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_config_value("repository_address", None, "html")
    app.connect("config-inited", add_buttons)
    app.connect("build-finished", add_install_cells)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
