"""Each notebook is executed once: what nbmake verified, the site shows.

``make book`` and ``make test`` begin with this file as a program. It runs the
notebooks that changed, side by side, in nbmake's own way, and puts them into
the cache in which myst-nb finds them when the site is built. A site that is
built without make does the same first.

jupyter-cache knows a notebook by its code cells alone. Here its folder is
named by a digest of what those cells import, so that a change there executes
every notebook again.
"""

import functools
import hashlib
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
import zmq
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.cache.main import JupyterCacheBase
from nbclient.output_widget import OutputWidget
from nbmake.nb_result import NotebookResult
from nbmake.nb_run import NotebookRun
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError
from sphinx_external_toc.parsing import parse_toc_yaml

COLOUR = re.compile(r"\x1b\[[\d;]*m")
# The threads of two kernels would only wait for each other. Memory that is
# freed is kept: given back and asked for again, as glibc does by itself, it
# takes a quarter more time (measured on all notebooks of five chapters).
KERNELS = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
}
TIMEOUT = 600  # seconds, for each cell; alone, none takes a tenth of that


@dataclass
class Execution:
    """What came of a notebook; ``error`` says where and why it failed."""

    name: str
    seconds: float
    notebook: nbformat.NotebookNode | None = None
    error: str | None = None
    trace: str = ""


def wake_the_reader(publish: Callable[..., None]) -> Callable[..., None]:
    """Send what an Output widget shows, and wake who reads that socket.

    nbclient sends it on the socket on which it waits for the cell's reply.
    ZeroMQ announces a message once: where that falls into the send, nbclient
    waits for ever. Asking for the socket's events wakes it.
    """

    @functools.wraps(publish)
    def published(
        widget: OutputWidget, *args: object, **keys: object
    ) -> None:
        publish(widget, *args, **keys)
        widget.kernel_client.shell_channel.socket.get(zmq.EVENTS)

    return published


def mend_output_widgets() -> None:
    """Let every Output widget of this process wake who reads its socket."""
    OutputWidget._publish_msg = wake_the_reader(OutputWidget._publish_msg)


def digest(root: Path) -> str:
    """A digest of the package's files and of the pinned requirements."""
    paths = (root / "bnn_tutorial").rglob("*")
    files = [path for path in paths if path.is_file()]
    sources = [path for path in files if "__pycache__" not in path.parts]
    summary = hashlib.sha256()
    for path in [root / "requirements.txt", *sorted(sources)]:
        summary.update(f"{path.relative_to(root)} ".encode())
        summary.update(hashlib.sha256(path.read_bytes()).digest())
    return summary.hexdigest()[:16]


def cache_folder(root: Path) -> Path:
    """The cache of the present sources; those of earlier ones go."""
    caches = root / "_build" / "execution"
    current = caches / digest(root)
    for stale in set(caches.glob("*")) - {current}:
        shutil.rmtree(stale)
    return current


def changed(root: Path, cache: JupyterCacheBase) -> Iterator[str]:
    """The book's notebooks that are not in the cache as they stand.

    Later chapters take longer. They come first, so that no core has to wait
    for the last one.
    """
    for document in reversed([*parse_toc_yaml(root / "_toc.yml")]):
        path = root / f"{document}.ipynb"
        if path.is_file():
            try:
                cache.match_cache_notebook(nbformat.read(path, as_version=4))
            except KeyError:
                yield str(path.relative_to(root))


def run(root: Path, name: str) -> Execution:
    """Execute one notebook, as ``pytest --nbmake`` does."""
    start = time.monotonic()
    try:
        result = NotebookRun(root / name, TIMEOUT).execute()
    except Exception as error:  # no cell's own, such as a kernel that died
        reason = f"{type(error).__name__}: {error}"
        return Execution(name, time.monotonic() - start, error=reason)
    execution = Execution(name, time.monotonic() - start, result.nb)
    if result.error is not None:
        execution.error = failure(result)
        execution.trace = result.error.trace
    return execution


def failure(result: NotebookResult) -> str:
    """Where a notebook failed, and by which error, on one line."""
    assert result.nb is not None
    assert result.error is not None
    cell = result.nb.cells[result.error.failing_cell_index]
    first_line = cell.source.strip().partition("\n")[0]
    place = f"cell [{cell.get('execution_count')}] ({first_line})"
    for output in cell.get("outputs", []):
        if output.output_type == "error":
            return (
                f"{place}: {output.ename}: {output.evalue.strip()}".partition(
                    "\n"
                )[0]
            )
    return f"{place}: {COLOUR.sub('', result.error.summary)}"


def keep(root: Path, cache: JupyterCacheBase, execution: Execution) -> None:
    """Put an executed notebook where myst-nb looks for it."""
    assert execution.notebook is not None
    for cell in execution.notebook.cells:
        cell.metadata.pop("execution", None)  # times are not its source
    uri, data = str(root / execution.name), execution.seconds
    bundle = CacheBundleIn(
        execution.notebook, uri, data={"execution_seconds": data}
    )
    cache.cache_notebook_bundle(bundle, overwrite=True)


@contextmanager
def quiet_kernels() -> Iterator[None]:
    """Kernels inherit the standard error, and warn there of what is usual."""
    own = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(own, 2)
        os.close(own)


def execute(root: Path) -> list[Execution]:
    """Execute the notebooks that changed, and return those that failed.

    As many run side by side as there are cores, with one thread each.
    """
    cache = get_cache(cache_folder(root))
    names = [*changed(root, cache)]
    if not names:
        print("== Every notebook is executed as it stands.", flush=True)
        return []
    cores = getattr(
        os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1)
    )
    workers = min(len(cores(0)), len(names))
    print(
        f"== Notebooks to execute: {len(names)}, {workers} at a time. "
        "All of the book take some minutes.",
        flush=True,
    )
    os.environ.update(KERNELS)
    mend_output_widgets()
    start, failed = time.monotonic(), []
    with quiet_kernels(), ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(run, root, name) for name in names]
        try:
            for count, future in enumerate(as_completed(futures), 1):
                execution = future.result()
                if execution.error is None:
                    keep(root, cache, execution)
                    (root / "_build" / "executed").touch()  # for make
                else:
                    failed.append(execution)
                verb = "failed after" if execution.error else "took"
                print(
                    f"{time.monotonic() - start:6.0f} s  "
                    f"{count} of {len(names)}: {execution.name} {verb} "
                    f"{execution.seconds:.0f} s",
                    flush=True,
                )
        except KeyboardInterrupt:
            print("== Stopped. What was executed is kept.", flush=True)
            os._exit(130)  # kernels end with this process, threads would not
    for execution in failed:
        print(f"\n{execution.name}\n{execution.trace}", flush=True)
    for execution in failed:
        print(f"FAILED {execution.name}, {execution.error}", flush=True)
    return failed


def provide(app: Sphinx, config: Config) -> None:
    """Execute what changed, and show myst-nb the cache."""
    root = Path(app.srcdir)
    if failed := execute(root):
        failures = [f"{each.name}, {each.error}" for each in failed]
        raise ExtensionError("\n".join(failures))
    config.nb_execution_cache_path = str(cache_folder(root))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", provide)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    sys.exit(bool(execute(Path(__file__).parents[2])))
