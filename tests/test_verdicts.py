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
    columns = [cell.get_text(strip=True) for cell in table.select("thead tr:first-child th")][1:]
    if "verdict" not in columns:
        return
    for row in table.select("tbody tr"):
        yield dict(zip(columns, (cell.get_text(strip=True) for cell in row.select("td")), strict=True))


def contradictions(row: Row) -> list[str]:
    low, high = map(float, re.findall(r"[-+][\d.]+", row["95 % interval"]))
    margin = float(next(found[1] for name in row if (found := re.match(r"p of ±([\d.]+) or more", name))))
    holds = {
        "equivalent": -margin <= low <= high <= margin,
        "higher": low >= 0,
        "lower": high <= 0,
        "undecided": low < margin and high > -margin,
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


@pytest.mark.parametrize(("chapter", "finding"), FINDINGS)
def test_findings_agree_with_their_intervals(chapter: str, finding: Row) -> None:
    interval = re.search(r"\[([-+][\d.]+), ([-+][\d.]+)\] points", finding["measured"])
    same = re.search(r"same within ±([\d.]+)", finding["answer"])
    if interval and same:
        assert -float(same[1]) <= float(interval[1]) <= float(interval[2]) <= float(same[1])
    if interval and finding["answer"] in ("Yes", "No: less accurate"):
        assert float(interval[1]) * float(interval[2]) > 0


TABLE = """
<table><thead><tr><th></th><th>95 % interval</th><th>p of ±0.5 or more</th><th>verdict</th></tr></thead>
<tbody><tr><th>a</th><td>[-0.55, +0.48]</td><td>0.04</td><td>{verdict}</td></tr></tbody></table>"""


@pytest.mark.parametrize("verdict", ["equivalent", "higher", "lower"])
def test_a_planted_contradiction_is_seen(verdict: str) -> None:
    (row,) = rows(TABLE.format(verdict=verdict))
    assert contradictions(row)
    (row,) = rows(TABLE.format(verdict="undecided"))
    assert not contradictions(row)
