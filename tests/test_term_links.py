"""Terms of the glossary are found as words, in either number, and only where the text runs."""

import pytest
from docutils import nodes
from term_links import linked, pattern, words

USES = {"probe": "g#p", "temperature": "g#t", "temperature scaling": "g#s", "AUROC": "g#a"}


def after(text: str) -> str:
    uses = {term: (pattern(term), target) for term, target in USES.items()}
    pieces = linked(nodes.Text(text), uses)
    return "".join(f"<{p.astext()}>" if isinstance(p, nodes.reference) else p.astext() for p in pieces)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Probes and a probe.", "<Probes> and a probe."),
        ("By temperature scaling, a temperature.", "By <temperature scaling>, a <temperature>."),
        ("A temperature, then temperature scaling.", "A <temperature>, then <temperature scaling>."),
        ("auroc is not AUROC", "auroc is not <AUROC>"),
        ("a probed layer, re-probe", "a probed layer, re-probe"),
        ("nothing", "nothing"),
    ],
)
def test_the_first_use_is_linked(text: str, expected: str) -> None:
    assert after(text) == expected


def test_code_links_headings_and_table_cells_are_left_alone() -> None:
    page, section, paragraph = nodes.document(None, None), nodes.section(), nodes.paragraph()
    page += section
    section += [nodes.title("", "A probe"), paragraph]
    paragraph += [nodes.Text("One "), nodes.literal("", "probe"), nodes.reference("", "", nodes.Text("a probe"))]
    paragraph += nodes.emphasis("", "", nodes.Text("here"))
    cell = nodes.entry("", nodes.paragraph("", "probe"))
    section += cell
    assert [text.astext() for text in words(page)] == ["One ", "here"]
