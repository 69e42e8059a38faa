"""No verdict in the book contradicts the interval beside it: in the tables of all chapters, and in what they found."""

import json
import re
from collections.abc import Iterator

import pytest
from bs4 import BeautifulSoup
from chapter_files import ROOT, chapter_names, read_built

Row = dict[str, str]


def rows(html: str) -> Iterator[Row]:
    """The rows of a table of comparisons, by column; none of another table."""
    table = BeautifulSoup(html, "html.parser")
    columns = [cell.get_text(strip=True) for cell in table.select("thead tr:first-child th")]
    if "verdict" not in columns:
        return
    for row in table.select("tbody tr"):
        cells = [cell.get_text(strip=True) for cell in row.select("td")]
        yield dict(zip(columns[-len(cells) :], cells, strict=True))  # before these, the columns that name the row


def contradictions(row: Row) -> list[str]:
    low, high = map(float, re.findall(r"[-+][\d.]+", row["95 % interval"]))
    margin = float(next(found[1] for name in row if (found := re.match(r"p of ±([\d.]+) or more", name))))
    corrected_away = row["Holm"] == "yes" and float(row["p of a difference"].lstrip("< ")) >= 0.05
    holds = {
        "equivalent": -margin <= low <= high <= margin,
        "higher": low >= 0,
        "lower": high <= 0,
        "undecided": corrected_away or (low < margin and high > -margin),
    }
    return [] if holds[row["verdict"]] else [f"{row['verdict']} beside {row['95 % interval']}"]


def shown_rows(chapter: str) -> list[Row]:
    cells = read_built(chapter).cells
    outputs = [output for cell in cells for output in cell.get("outputs", []) if "data" in output]
    return [row for output in outputs for row in rows(output.data.get("text/html", ""))]


def test_there_are_tables_to_look_at() -> None:
    assert sum(len(shown_rows(name)) for name in chapter_names()) >= 40


@pytest.mark.parametrize("chapter", chapter_names())
def test_verdicts_agree_with_their_intervals(chapter: str) -> None:
    assert [fault for row in shown_rows(chapter) for fault in contradictions(row)] == []


FINDINGS = [
    (path.stem, finding)
    for path in sorted((ROOT / "data" / "findings").glob("*.json"))
    if path.stem != "order"
    for finding in json.loads(path.read_text())["findings"]
]


def wrong_answers(finding: Row) -> list[str]:
    """The answers that contradict the intervals beside them: one, or one for each kind of task, with semicolons."""
    if "] points" not in finding["measured"]:
        return []
    wrong = []
    for measured, answer in zip(finding["measured"].split(";"), finding["answer"].split(";"), strict=False):
        if not (interval := re.search(r"\[([-+][\d.]+), ([-+][\d.]+)\]", measured)):
            continue
        low, high = map(float, interval.groups())
        if same := re.search(r"same within ±([\d.]+)", answer):
            agrees = -float(same[1]) <= low <= high <= float(same[1])
        else:
            agrees = low * high > 0 or not answer.lower().endswith(("yes", "less accurate"))
        wrong += [] if agrees else [answer]
    return wrong


@pytest.mark.parametrize(("chapter", "finding"), FINDINGS)
def test_findings_agree_with_their_intervals(chapter: str, finding: Row) -> None:
    assert wrong_answers(finding) == []


TABLE = """
<table><thead><tr><th></th><th>95 % interval</th><th>p of a difference</th><th>p of ±0.5 or more</th><th>Holm</th>
<th>verdict</th></tr></thead>
<tbody><tr><th>a</th><td>{interval}</td><td>{p}</td><td>0.04</td><td>yes</td><td>{verdict}</td></tr></tbody></table>"""


@pytest.mark.parametrize(
    ("verdict", "interval", "p", "wrong"),
    [
        ("equivalent", "[-0.55, +0.48]", "0.900", 1),
        ("higher", "[-0.55, +0.48]", "0.900", 1),
        ("lower", "[-0.55, +0.48]", "0.900", 1),
        ("undecided", "[-0.55, +0.48]", "0.900", 0),
        ("undecided", "[+0.60, +1.48]", "0.004", 1),
        ("undecided", "[+0.60, +1.48]", "< 0.001", 1),
        ("undecided", "[+0.60, +1.48]", "0.070", 0),  # the interval is of one, the verdict of all together
    ],
)
def test_a_planted_contradiction_is_seen(verdict: str, interval: str, p: str, wrong: int) -> None:
    (row,) = rows(TABLE.format(verdict=verdict, interval=interval, p=p))
    assert len(contradictions(row)) == wrong


@pytest.mark.parametrize(
    ("measured", "answer", "wrong"),
    [
        ("+1.2 [-0.1, +2.5] points", "Yes", 1),
        ("+0.2 [-0.1, +0.7] points", "No, the same within ±0.5 points", 1),
        ("texts -3.0 [-4.0, -2.0]; images +0.2 [-0.1, +0.7] points", "texts: yes; images: undecided", 0),
        ("texts -3.0 [-4.0, -2.0]; images +0.2 [-0.1, +0.7] points", "texts: yes; images: yes", 1),
    ],
)
def test_a_planted_wrong_answer_is_seen(measured: str, answer: str, wrong: int) -> None:
    assert len(wrong_answers({"measured": measured, "answer": answer})) == wrong
