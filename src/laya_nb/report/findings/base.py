"""A finding: one line of the book's table. How a chapter shows its own, and how others read them.

A chapter shows what it found with `show`. When it is built, what it showed is written to a small file, which the
introduction, the page of all findings and README read: they repeat none of its work.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from laya_nb.analysis.statistics import Comparison, Estimate
from laya_nb.support import paths

if TYPE_CHECKING:
    from IPython.display import Markdown

MARGIN = 0.5  # points of accuracy: less than this is too small to matter, by our choice

Scale = Literal["points", "share"]
"""What the number of a finding is: points of accuracy, or a share, correlation or AUROC, which lie between -1 and 1."""


class Number(NamedTuple):
    """A mean and the ends of its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Finding:
    """One line of the book's table: what was asked, the number with its uncertainty, and what it says.

    `label` is its short name, unique in its chapter: by it other pages refer to the finding, and figures name its row.
    Where one number answers the question, `number` holds it, `scale` says what it is, and `no_effect` which value would
    mean that there is nothing to see.
    """

    label: str
    question: str
    measured: str
    answer: str
    number: Number | None = None
    scale: Scale | None = None
    no_effect: float | None = None


def number(estimate: Estimate) -> Number:
    """An estimate as a finding keeps it."""
    return Number(estimate.mean, estimate.low, estimate.high)


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
    found = [Finding(**one | {"number": one["number"] and Number(*one["number"])}) for one in written["findings"]]
    return ChapterFindings(name, written["title"], found)


def find(chapter: str, label: str) -> Finding:
    """One finding of a chapter.

    Raises:
        LookupError: for a label that the chapter has not; the message lists those that it has.
    """
    found = {finding.label: finding for finding in load(chapter).findings}
    if label not in found:
        raise LookupError(f"chapter {chapter!r} has no finding {label!r}; it has: {', '.join(map(repr, found))}")
    return found[label]


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


def in_plain_words(questions: Mapping[str, tuple[str, str]]) -> "Markdown":
    """A few findings for readers in a hurry; for a notebook to show. What was measured stands small below the answers.

    Args:
        questions: the question in plain words, with the chapter and the label of the finding that answers it.
    """
    from IPython.display import Markdown

    rows = []
    for question, (chapter, label) in questions.items():
        found = find(chapter, label)
        link = f"[{load(chapter).title.partition(':')[0]}]({chapter}.ipynb)"
        rows.append((question, f"**{found.answer}** <br><small>{found.measured}</small>", link))
    return Markdown(_markdown(("Question", "Answer", "Shown in"), rows))


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# --- words that several chapters use ------------------------------------------------------------------------------


def points_and_seeds(comparison: Comparison) -> str:
    """The difference of two accuracies, and from how many seeds: "+0.20 [+0.10, +0.30] points, 5 seeds"."""
    return f"{comparison.difference:+.2f} points, {comparison.difference.n} seeds"


def as_number(comparison: Comparison) -> dict[str, Any]:
    """A difference of two accuracies as the last fields of a `Finding`."""
    return {"number": number(comparison.difference), "scale": "points", "no_effect": 0.0}


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
