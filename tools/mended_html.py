"""A Sphinx extension that mends the HTML which other programs write, for screen readers and for narrow windows.

Pages are mended, not chapters: an .ipynb keeps what pandas wrote, and no chapter is stale when this file changes.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

MENDS = {
    # pandas heads the corner of a table with nothing; a heading without words is announced, and says nothing.
    r"<th\b([^>]*)>(?:\s|&nbsp;)*</th>": r"<td\1></td>",
    # In a cell "mean [low, high]" the interval is marked: where there is no room, it goes below the mean.
    r"<td\b([^>]*)>([^<\[]*[^<\[\s])\s+(\[[^<\]]*\])\s*</td>": r'<td\1>\2 <span class="interval">\3</span></td>',
    # myst-nb names all folded code alike, over the words that say what is folded.
    r'<summary aria-label="Toggle hidden content">': "<summary>",
    # docutils gives the entries of its list a role that ARIA has given up, and that a list may not hold.
    r'role="doc-biblioentry"': 'role="listitem"',
}


def mended(html: str) -> str:
    for fault, mend in MENDS.items():
        html = re.sub(fault, mend, html)
    return html


def mend_page(_: Sphinx, __: str, ___: str, context: dict[str, Any], ____: nodes.document | None) -> None:
    if "body" in context:
        context["body"] = mended(context["body"])


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("html-page-context", mend_page)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
