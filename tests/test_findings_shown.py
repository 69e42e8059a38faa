"""What a chapter found travels to its readers: shown, noted, written, read."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from laya_nb.report import findings
from laya_nb.report.findings import Finding, Number, base
from laya_nb.support import paths

CHAPTERS = [path.stem for path in Path(base.__file__).parent.glob("*.py") if path.stem not in ("__init__", "base")]
FOUND = [
    Finding("gain", "Is it?", "1.0 [0.5, 1.5]", "Yes", Number(1.0, 0.5, 1.5), "points", 0.0),
    Finding("past", "Was it?", "0", "No"),
]


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "PUBLISHED", tmp_path)
    (tmp_path / "findings").mkdir()
    return tmp_path / "findings"


def write(folder: Path, name: str, title: str) -> None:
    rows = [asdict(one) for one in FOUND]
    (folder / f"{name}.json").write_text(json.dumps({"title": title, "findings": rows, "headline": None}))


def test_what_a_chapter_shows_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "shown", [])
    monkeypatch.setattr(base, "shown_headline", None)
    first = base.show(FOUND[:1], "It is.")
    base.show(FOUND[1:])
    assert base.shown == FOUND
    assert base.shown_headline == "It is."
    assert first.data.splitlines() == [
        "| Question | Measured, with 95 % interval | Answer |",
        "| --- | --- | --- |",
        "| Is it? | 1.0 [0.5, 1.5] | Yes |",
    ]
    assert first._repr_markdown_() == first.data
    assert base.show([]).data == "At these parameters there is nothing to compare."


def test_readers_get_all_chapters_in_the_books_order(published: Path) -> None:
    write(published, "a_chapter", "A chapter")
    write(published, "another", "Another: with a question?")
    (published / "empty.json").write_text(json.dumps({"title": "Empty", "findings": [], "headline": None}))
    (published / "order.json").write_text(json.dumps(["another", "finds_nothing", "empty", "a_chapter"]))
    assert findings.load("a_chapter") == ("a_chapter", "A chapter", FOUND)
    loaded = findings.load_all()
    assert [(name, title) for name, title, _ in loaded] == [
        ("another", "Another: with a question?"),
        ("a_chapter", "A chapter"),
    ]
    assert all(found == FOUND for _, _, found in loaded)
    with pytest.raises(FileNotFoundError):
        findings.load("finds_nothing")

    lines = findings.table(loaded).data.splitlines()
    assert lines[0] == "| Question | Measured, with 95 % interval | Answer | Shown in |"
    assert lines[2] == "| Is it? | 1.0 [0.5, 1.5] | Yes | [Another](another.ipynb) |"
    assert len(lines) == 2 + 4
    short = findings.in_plain_words({"Is there one?": ("another", "gain")}).data.splitlines()
    assert short[2] == "| Is there one? | **Yes** <br><small>1.0 [0.5, 1.5]</small> | [Another](another.ipynb) |"
    with pytest.raises(LookupError, match="chapter 'another' has no finding 'loss'; it has: 'gain', 'past'"):
        findings.find("another", "loss")
    read = paths.published_files_read()
    assert {"findings/order.json", "findings/a_chapter.json", "findings/another.json"} <= set(read)


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapters_findings_load_those_of_no_other(name: str) -> None:
    """A chapter is as fresh as the modules that it loads."""
    code = f"""
import sys, laya_nb.report.findings.{name}
print(*sorted(m.rsplit('.', 1)[1] for m in sys.modules if m.startswith('laya_nb.report.findings.')))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"base", "benchmark", name}
