"""The book's text can be read: short paragraphs, few numbers in each, the same parts in every chapter."""

import re

import pytest
from chapter_files import BOOK, SUMMARIES, chapter_names, read_source

LINES, INTERVALS = 6, 3  # the most that a paragraph has
INTERVAL = re.compile(r"\binterval\b[^.]*?\d|\bfrom [-+]?\d[\d.]* to [-+]?\d|\[[-+]?\d[\d.]*, [-+]?\d[\d.]*\]")
PLAIN = re.compile(r"^(?![#|`$<>:!\[]|[-*] |\d+\. | {4})")
PAGES = [f"{name}.py" for name in chapter_names()] + [path.name for path in sorted(BOOK.glob("*.md"))]
PARTS = ["What we found", "What this does not show", "Exercises"]


def text(page: str) -> str:
    if page.endswith(".md"):
        return (BOOK / page).read_text()
    cells = read_source(page.removesuffix(".py")).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def too_much(page_text: str) -> list[str]:
    """The paragraphs of prose that are too long, or hold too many intervals."""
    without_code = re.sub(r"^ *```.*?^ *```", "", page_text, flags=re.S | re.M)
    found = []
    for paragraph in re.split(r"\n\s*\n", without_code):
        if PLAIN.match(paragraph):
            long = len(paragraph.splitlines()) > LINES or len(INTERVAL.findall(paragraph)) > INTERVALS
            found += [paragraph] if long else []
    return found


@pytest.mark.parametrize("page", PAGES)
def test_no_paragraph_tires(page: str) -> None:
    assert too_much(text(page)) == []


@pytest.mark.parametrize("name", [name for name in chapter_names() if name not in SUMMARIES])
def test_a_chapter_has_its_parts_in_order(name: str) -> None:
    """Question, why it matters, answer; what was found, what that does not show, exercises with a solution for each."""
    opening = read_source(name).cells[0].source
    places = [opening.find(f"**{part}.**") for part in ("Question", "Why it matters", "Answer")]
    assert places == sorted(places)
    assert min(places) > 0
    whole = text(f"{name}.py")
    places = [whole.find(f"\n## {part}\n") for part in PARTS]
    assert places == sorted(places)
    assert min(places) > 0
    exercises, _, solutions = whole[places[-1] :].partition("```{dropdown} Solutions")
    numbers = [re.findall(r"^(\d+)\. ", part.partition("\n```")[0], flags=re.M) for part in (exercises, solutions)]
    assert numbers[0] == numbers[1] != []
    assert "**Run time:**" in whole[places[-1] :]


@pytest.mark.parametrize("name", [name for name in chapter_names() if name not in SUMMARIES])
def test_a_chapter_opens_with_a_picture(name: str) -> None:
    """Below the opening words, before any others, stands a figure; what comes before it is folded."""
    cells = read_source(name).cells[1:]
    picture = next(i for i, cell in enumerate(cells) if "figure" in cell.metadata.get("mystnb", {}))
    assert all("hide-input" in cell.metadata.get("tags", []) for cell in cells[: picture + 1])


@pytest.mark.parametrize(
    "paragraph",
    [
        "\n".join(["A line of a long paragraph."] * (LINES + 1)),
        "One [0.1, 0.2], two [0.3, 0.4], three [+0.5, +0.6] and four from 0.7 to 0.8 are too many.",
    ],
)
def test_planted_tiring_paragraphs_are_seen(paragraph: str) -> None:
    assert too_much(f"Short.\n\n{paragraph}\n\n## Next") == [paragraph]
    assert too_much(f"```python\n{paragraph}\n```") == []
