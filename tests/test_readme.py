"""README says what the chapters say, and its example works."""

import re

import chapters
import pytest
import torch
from chapter_files import ROOT, chapter_names, read_built
from chapter_front import badge, headlines

README = (ROOT / "README.md").read_text()


def test_headlines_are_what_the_chapters_found() -> None:
    """That they are the present ones, `chapter_front.outdated` tells."""
    lines = headlines()
    assert sum(line.startswith("- ") for line in lines) >= 4
    assert "\n".join(["<!-- headlines -->", *lines, "<!-- /headlines -->"]) in README


def test_main_figure_is_the_books() -> None:
    """The picture that README shows is the one in the introduction."""
    assert chapters.MAIN_FIGURE.read_bytes() == chapters.main_figure(read_built("intro"))
    assert str(chapters.MAIN_FIGURE.relative_to(ROOT)) in README


def test_example_runs() -> None:
    code = re.search(r"```python\n(.+?)```", README, re.S)
    assert code
    names: dict = {"images": torch.rand(2, 1, 28, 28)}
    exec(code[1], names)
    assert names["logits"].shape == (2, 10)
    assert names["attention"].sum(dim=1).tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize("place", re.findall(r"^\| (`.+?) \|", README, re.M))
def test_places_exist(place: str) -> None:
    folder = ROOT
    for name in re.findall(r"`([\w/]+/)`", place):
        path = ROOT / name if (ROOT / name).exists() else folder.parent / name  # "`src/laya_nb/heads/`, `backbones/`"
        assert path.is_dir()
        folder = path


@pytest.mark.parametrize("chapter", [name for name in chapter_names() if name != "intro"])
def test_every_chapter_has_its_link(chapter: str) -> None:
    assert badge(chapter).rpartition("](")[2] in README
