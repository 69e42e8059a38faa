"""CONTRIBUTING's recipes are true: what they say to write is written into a copy of the project, trained and shown.

Each recipe touches the files that it names and no other.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from test_notebooks import committed_copy

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
SECTIONS = dict(re.findall(r"^## (A [a-z ]+)\n(.*?)(?=^## )", CONTRIBUTING, re.M | re.S))


def blocks(section: str, language: str) -> Iterator[tuple[str, str]]:
    """The path that a block names in its first line, and the rest of it."""
    yield from re.findall(rf"^```{language}\n# (\S+)\n(.*?)^```$", SECTIONS[section], re.M | re.S)


def patched(text: str, diff: str) -> str:
    """A file with a diff's hunks applied. A blank line ends a hunk; each must fit in one place."""
    for hunk in filter(None, (part.strip("\n") for part in re.split(r"^ ?$", diff, flags=re.M))):
        lines = hunk.split("\n")
        old, new = ("\n".join(line[1:] for line in lines if line[0] in kept) for kept in (" -", " +"))
        assert text.count(old) == 1, f"this stands {text.count(old)} times in the file:\n{old}"
        text = text.replace(old, new)
    return text


class Copy:
    """A copy of the project, where recipes are followed and commands run."""

    def __init__(self, folder: Path) -> None:
        self.root = committed_copy(folder / "project")
        self.cache = folder / "cache"

    def follow(self, section: str) -> set[str]:
        """Write what a recipe says; gives the files that it names, but for scripts, which belong to a reader."""
        named = set()
        for path, text in blocks(section, "python"):
            (self.root / path).parent.mkdir(exist_ok=True)
            (self.root / path).write_text(text)
            named.add(path)
        for path, text in blocks(section, "diff"):
            file = self.root / path
            file.write_text(patched(file.read_text(), text))
            named.add(path)
        return {path for path in named if not path.startswith("runs/")}

    def touched(self) -> set[str]:
        """The files that differ from the project's."""
        git = ["git", "-C", str(self.root), "status", "--porcelain", "--untracked-files=all"]
        done = subprocess.run(git, capture_output=True, text=True, check=True)
        return {line[3:] for line in done.stdout.splitlines()}

    def commit(self) -> None:
        author = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
        for command in (["add", "-A"], [*author, "commit", "-q", "--allow-empty", "-m", "recipe"]):
            subprocess.run(["git", "-C", str(self.root), *command], check=True)

    def python(self, *arguments: str) -> str:
        environment = os.environ | {
            "PYTHONPATH": str(self.root / "src"),  # before the installed package, which is the checkout's
            "LAYA_NB_CACHE": str(self.cache),
            "TQDM_DISABLE": "1",
        }
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return Copy(tmp_path_factory.mktemp("contributing"))


def test_there_are_four_recipes() -> None:
    assert set(SECTIONS) == {"A head", "A data set", "A measurement", "A chapter"}
    for section, text in SECTIONS.items():
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
        assert len([line for line in prose.splitlines() if line.strip()]) <= 10, section


def test_a_chapter_is_written_trained_built_and_listed(copy: Copy) -> None:
    named = copy.follow("A chapter")
    assert copy.touched() == named == {"book/toy.py", "src/laya_nb/report/findings/toy.py", "_toc.yml"}
    copy.python("tools/chapters.py", "front")
    copy.python("tools/train.py", "toy")
    trained = {path for path in copy.touched() if path.startswith("data/results/")}
    assert len([path for path in trained if path.endswith(".json")]) == 6
    copy.python("tools/chapters.py", "build", "toy", "findings", "intro")
    copy.python("tools/chapters.py", "check")

    built = json.loads((copy.root / "book" / "toy.ipynb").read_text())
    assert any("image/png" in output.get("data", {}) for cell in built["cells"] for output in cell.get("outputs", []))
    found = json.loads((copy.root / "data" / "findings" / "toy.json").read_text())
    assert found["findings"][0]["question"] == "Is LAYA more accurate on the sample?"
    assert "toy.ipynb" in (copy.root / "book" / "intro.ipynb").read_text()  # in the list of chapters
    assert "toy.ipynb" in (copy.root / "book" / "findings.ipynb").read_text()  # beside its finding
    assert "book/toy.ipynb" in (copy.root / "README.md").read_text()
    copy.commit()


SWEEP = """
from laya_nb import figures
from laya_nb.heads import BENCHMARK_HEADS, HEADS
from laya_nb.report import tables
from laya_nb.runs import ResultStore, Run, grid, sweep
from laya_nb.statistics import compare_all
from laya_nb.training import TrainingConfig

assert "mean_pool" in HEADS and "mean_pool" not in BENCHMARK_HEADS
protocol = TrainingConfig(learning_rate=3e-3, max_epochs=8)
runs = grid(dataset=["digits"], head=["laya", "mean_pool"], seed=[0, 1], protocol=[protocol])
results = sweep(runs, ResultStore("runs/kept", published=False))
table = tables.attention_table(results)
assert table["accuracy"].min() > 50, table
assert table.loc[table["head"] == "mean_pool", "last_weight"].round(3).tolist() == [0.667] * 2
figure = figures.accuracy_and_differences(table, compare_all(table, "accuracy", "laya", 1.0), {})
assert "MeanPool" in [label.get_text() for label in figure.axes[0].get_yticklabels()]
shown = tables.benchmark_table(table, {})
assert "MeanPool" in shown.index
other = Run(head="mean_pool", dataset="digits", power=2.0)
assert other.key != Run(head="mean_pool", dataset="digits").key
assert (other.hidden_dims, other.backbone) == ((64, 32), "mlp")
print("shown")
"""


def test_a_head_and_a_data_set_are_added_trained_stored_and_drawn(copy: Copy) -> None:
    copy.commit()
    named = copy.follow("A head") | copy.follow("A data set")
    assert copy.touched() == named
    assert named == {
        "src/laya_nb/heads/mean_pool.py",
        "src/laya_nb/heads/catalog.py",
        "src/laya_nb/data/digits.py",
        "src/laya_nb/data/catalog.py",
    }
    assert "shown" in copy.python("-c", SWEEP)
    sweep = ["sweep", "head=mean_pool", "power=1,2", "dataset=digits", "max_epochs=1", "--results", "runs/kept"]
    assert "power" in copy.python("-m", "laya_nb.runs.cli", *sweep)
    with pytest.raises(AssertionError, match="power must be a finite number above 0, got -1"):
        copy.python("-c", "from laya_nb.runs import Run; Run(head='mean_pool', power=-1)")
    copy.commit()


def test_a_measurement_is_made_once(copy: Copy) -> None:
    copy.commit()
    named = copy.follow("A measurement")
    assert copy.touched() == named == {"src/laya_nb/runs/layer_use.py"}
    first = copy.python("runs/layer_use.py")
    assert len(first.splitlines()) == 4
    kept = list(copy.cache.rglob("mean_attention-v1/**/*.json"))
    assert len(kept) == 4
    times = [path.stat().st_mtime_ns for path in kept]
    for model in copy.cache.rglob("*.safetensors"):
        model.unlink()
    assert copy.python("runs/layer_use.py") == first
    assert [path.stat().st_mtime_ns for path in kept] == times
    assert not list(copy.cache.rglob("*.safetensors"))  # nothing was trained again
