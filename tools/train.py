"""Train the runs that the chapters publish, those that data/results lacks.

A chapter is the only list of its runs: here each is executed at its published parameters, with the store pointed at the
published folder and one process per core. The chapters themselves are left as they are. The model that the first
chapter shows is published, too.

usage: python tools/train.py [NAME ...]

It needs the full data (LAYA_NB_DATA, or a network), and is safe to stop and start again.
"""

import os
import shutil
import sys

from chapter_files import BOOK, ROOT, execution_order, read_source
from chapter_front import front
from nbclient import NotebookClient

from laya_nb.runs import Run, checkpoints, trained_model
from laya_nb.support import paths

RESULTS = ROOT / "data" / "results"


def train(name: str) -> None:
    """Execute a chapter; what its sweeps find missing is trained and stays in data/results."""
    before = {path for path in RESULTS.rglob("*") if path.is_file()}
    NotebookClient(read_source(name), timeout=None, resources={"metadata": {"path": str(BOOK)}}).execute()
    new = {path for path in RESULTS.rglob("*") if path.is_file()} - before
    print(f"{name}: {len(new)} new files in {RESULTS.relative_to(ROOT)}", flush=True)


def publish_checkpoint(run: Run) -> None:
    """Publish a run's model; one that is not in the cache is trained again, and must come out as published."""
    published = ROOT / "data" / checkpoints.file_name(run)
    if not published.is_file():
        trained_model(run)
        published.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(paths.cache() / checkpoints.file_name(run), published)


def main() -> None:
    os.environ["LAYA_NB_RESULTS"] = str(RESULTS)
    os.environ["LAYA_NB_PROCESSES"] = str(os.cpu_count())
    for name in sys.argv[1:] or execution_order():
        train(name)
    publish_checkpoint(Run())  # the chapter on the mechanism shows it
    front()  # the list of the results' checksums


if __name__ == "__main__":
    main()
