"""README says what the runs say, and its example works."""

import re

import chapters
import pytest
import torch

from laya_nb.report import findings
from laya_nb.runs import HEADS, grid, sweep
from laya_nb.runs import ResultStore
from laya_nb.training import TrainingConfig

README = (chapters.ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    ("title", "dataset", "protocol", "seeds"),
    [
        ("Fashion-MNIST", "fashion_mnist", TrainingConfig(), range(10)),
        ("CIFAR-10 (JPEG copy)", "cifar10_jpeg", TrainingConfig(learning_rate=1e-3), range(5)),
        ("IMDB", "imdb", TrainingConfig(learning_rate=1e-3), range(5)),
        ("IMDB, read by a frozen transformer", "imdb/minilm", TrainingConfig(learning_rate=1e-3), range(5)),
    ],
)
def test_headlines_are_what_the_results_say(title: str, dataset: str, protocol: TrainingConfig, seeds: range) -> None:
    runs = grid(dataset=[dataset], head=HEADS, seed=seeds, protocol=[protocol])
    assert f"- {findings.headline(sweep(runs, ResultStore()), title)}" in " ".join(README.split())


def test_main_figure_is_the_books() -> None:
    """The picture that README shows is the one in the introduction."""
    assert chapters.MAIN_FIGURE.read_bytes() == chapters.main_figure(chapters.read_built("intro"))
    assert str(chapters.MAIN_FIGURE.relative_to(chapters.ROOT)) in README


def test_example_runs() -> None:
    code = re.search(r"```python\n(.+?)```", README, re.S)
    assert code
    names: dict = {"images": torch.rand(2, 1, 28, 28)}
    exec(code[1], names)
    assert names["logits"].shape == (2, 10)
    assert names["attention"].sum(dim=1).tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize("chapter", [name for name in chapters.chapter_names() if name != "intro"])
def test_every_chapter_has_its_link(chapter: str) -> None:
    assert chapters.badge(chapter).rpartition("](")[2] in README
