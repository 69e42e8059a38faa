"""A Sphinx extension: on every page the first use of each term of the glossary leads to it.

Notebooks stay free of such markup, so they read well elsewhere, and no link can be forgotten or lead nowhere.
"""

import re
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

GLOSSARY = "book/glossary"
AMBIGUOUS = {"run", "view", "margin", "seed"}  # whose everyday sense would be linked as often as ours
LEFT_ALONE = (nodes.reference, nodes.literal, nodes.math, nodes.title, nodes.strong, nodes.raw)


def words(page: nodes.document) -> Iterator[nodes.Text]:
    """The running text of a page, but for what is a link, code or an equation."""
    for paragraph in page.findall(nodes.paragraph):
        if isinstance(paragraph.parent, nodes.figure | nodes.entry | nodes.citation):
            continue
        for text in list(paragraph.findall(nodes.Text)):
            above, outside = text.parent, True
            while outside and above is not None and above is not paragraph:
                outside, above = not isinstance(above, LEFT_ALONE), above.parent
            if outside and above is paragraph:  # some texts, of references for instance, know of no parent
                yield text


def pattern(term: str) -> re.Pattern[str]:
    """A term at the beginning of a sentence or within one, in the singular or the plural."""
    first = f"[{term[0].lower()}{term[0].upper()}]" if term[1:].islower() else re.escape(term[0])
    return re.compile(rf"(?<![\w-]){first}{re.escape(term[1:])}s?(?![\w-])")


def linked(text: nodes.Text, uses: dict[str, tuple[re.Pattern[str], str]]) -> list[nodes.Node]:
    """A text in pieces, the first use of each of the terms as a link; what was used is taken out of `uses`."""
    found = [(match.start(), -len(term), term, match) for term, (p, _) in uses.items() if (match := p.search(text))]
    if not found:
        return [text]
    start, _, term, match = min(found, key=lambda one: one[:3])
    _, target = uses.pop(term)
    link = nodes.reference("", match[0], internal=True, refuri=target, classes=["term"])
    before, after = nodes.Text(text[:start]), nodes.Text(text[match.end() :])
    return [before, link, *linked(after, uses)]


def link_terms(app: Sphinx, page: nodes.document, name: str) -> None:
    if name == GLOSSARY:
        return
    terms = app.env.domaindata["std"]["terms"]  # in lower case, with where each stands
    spelt = {key: term for key, term in _spelt(app) if key not in AMBIGUOUS}
    to = app.builder.get_relative_uri(name, GLOSSARY)
    uses = {term: (pattern(term), f"{to}#{terms[key][1]}") for key, term in spelt.items()}
    for text in words(page):
        if uses and (pieces := linked(text, uses)) != [text]:
            text.parent.replace(text, pieces)


def _spelt(app: Sphinx) -> Iterator[tuple[str, str]]:
    """Every term in lower case, and as the glossary spells it."""
    for kind_and_name in app.env.domaindata["std"]["objects"]:
        if kind_and_name[0] == "term":
            yield kind_and_name[1].lower(), kind_and_name[1]


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-resolved", link_terms)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
