"""The table of run times, in words: titles that lead on, seconds, states.

myst-nb's own, which this takes the place of, shows paths, and for a state an
emoji that not every system can draw.
"""

from typing import cast

from docutils import nodes
from myst_nb.ext.execution_tables import ExecutionStatsNode
from myst_nb.sphinx_ import NbMetadataCollector, SphinxEnvType
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform

HEADER = ("Notebook", "Seconds", "State")


def order(environment: BuildEnvironment) -> list[str]:
    """All pages, in the order of the table of contents."""
    first = environment.config.root_doc
    return [first, *environment.toctree_includes.get(first, ())]


def row(*cells: nodes.Node) -> nodes.row:
    paragraphs = [nodes.paragraph("", "", cell) for cell in cells]
    return nodes.row("", *[nodes.entry("", each) for each in paragraphs])


def title(page: str, parent: str) -> pending_xref:
    """A link that will say the title of a page."""
    return pending_xref(
        "",
        nodes.inline(),
        refdoc=parent,
        refdomain="std",
        reftype="doc",
        reftarget=f"/{page}",
        refexplicit=False,
        refwarn=True,
    )


def table(environment: SphinxEnvType, parent: str) -> nodes.table:
    """Build the table as it stands on the page `parent`."""
    body = nodes.tbody()
    known = NbMetadataCollector.get_doc_data(environment)
    for page in order(environment):
        execution = known.get(page, {}).get("exec_data")
        if execution is None:
            continue
        state = "passed" if execution["succeeded"] else "failed"
        seconds = nodes.Text(f"{execution['runtime']:.0f}")
        body += row(title(page, parent), seconds, nodes.Text(state))
    head = nodes.thead("", row(*map(nodes.Text, HEADER)))
    columns = [nodes.colspec(colwidth=1) for _ in HEADER]
    group = nodes.tgroup("", *columns, head, body, cols=len(HEADER))
    return nodes.table("", group, classes=["colwidths-auto"])


class RunTimes(SphinxPostTransform):
    """Put the table in its place, before myst-nb does and links resolve."""

    default_priority = 7

    def run(self, **_: object) -> None:
        environment = cast("SphinxEnvType", self.env)
        for node in [*self.document.findall(ExecutionStatsNode)]:
            node.replace_self(table(environment, self.env.docname))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_post_transform(RunTimes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
