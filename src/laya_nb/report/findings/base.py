"""A finding: one line of the book's table. How a chapter shows its own, and how others read them.

A chapter shows what it found with `show`. When it is built, what it showed is written to a small file, which the
introduction and README read: they repeat none of its work.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from laya_nb.analysis.statistics import Comparison
from laya_nb.support import paths

if TYPE_CHECKING:
    from IPython.display import Markdown

MARGIN = 0.5  # points of accuracy: less than this is too small to matter, by our choice


@dataclass(frozen=True)
class Finding:
    """One line of the book's table: what was asked, the number with its uncertainty, and what it says."""

    question: str
    measured: str
    answer: str


class ChapterFindings(NamedTuple):
    """What one chapter found: `name` is its file name without ending, `title` what readers know it by."""

    name: str
    title: str
    findings: list[Finding]


shown: list[Finding] = []
"""All that this process has shown. The tool that builds a chapter reads it in the chapter's kernel."""

shown_headline: str | None = None
"""The chapter's outcome in one line, for README, or None."""


def show(findings: Sequence[Finding], headline: str | None = None) -> "Markdown":
    """The findings as a table, for a notebook to display, and noted in `shown`.

    Args:
        findings: this chapter's.
        headline: its outcome in one line, where README quotes it.
    """
    from IPython.display import Markdown

    global shown_headline
    shown.extend(findings)
    if headline is not None:
        shown_headline = headline
    if not findings:
        return Markdown("At these parameters there is nothing to compare.")
    header = ("Question", "Measured, with 95 % interval", "Answer")
    return Markdown(_markdown(header, [(found.question, found.measured, found.answer) for found in findings]))


def load(name: str) -> ChapterFindings:
    """What a chapter found when it was last built, from its published file.

    Raises:
        FileNotFoundError: for a chapter without findings.
    """
    written = json.loads(paths.published(f"findings/{name}.json").read_text(encoding="utf-8"))
    return ChapterFindings(name, written["title"], [Finding(**one) for one in written["findings"]])


def load_all() -> list[ChapterFindings]:
    """What all chapters found, in the book's order; those without findings are left out."""
    order: list[str] = json.loads(paths.published("findings/order.json").read_text(encoding="utf-8"))
    chapters = [load(name) for name in order if paths.published(f"findings/{name}.json").is_file()]
    return [chapter for chapter in chapters if chapter.findings]


def table(chapters: Sequence[ChapterFindings]) -> "Markdown":
    """The findings of several chapters as one table, each line with a link to its chapter, by what its
    title says before a colon; for a notebook to show."""
    from IPython.display import Markdown

    header = ("Question", "Measured, with 95 % interval", "Answer", "Shown in")
    rows = [
        (found.question, found.measured, found.answer, f"[{chapter.title.partition(':')[0]}]({chapter.name}.ipynb)")
        for chapter in chapters
        for found in chapter.findings
    ]
    return Markdown(_markdown(header, rows))


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# --- words that several chapters use ------------------------------------------------------------------------------


def points(comparison: Comparison) -> str:
    """The difference of two accuracies, with its interval: "+0.20 [+0.10, +0.30] points"."""
    return f"{comparison.difference:+.2f} points"


def points_and_seeds(comparison: Comparison) -> str:
    """The same, and how many seeds it comes from."""
    return f"{points(comparison)}, {comparison.difference.n} seeds"


def more_accurate(comparison: Comparison) -> str:
    """The answer to "Is it more accurate?"."""
    match comparison.verdict():
        case "equivalent":
            return f"No: the same within ±{comparison.margin:g} points"
        case "higher":
            return "Yes"
        case "lower":
            return "No: less accurate"
        case _:
            return "Undecided"
