"""Page elements to play with: plain HTML, each with a script of its own, without a library.

They work in a notebook, on a rendered page, from a file and offline. Where no script runs, a still picture stands in
their place.
"""

import base64
import html
import json
from collections.abc import Mapping
from hashlib import sha256
from importlib import resources
from io import BytesIO
from typing import Any

from matplotlib.figure import Figure


class Element:
    """HTML that a notebook shows."""

    def __init__(self, html: str) -> None:
        self.html = html

    def __repr__(self) -> str:  # what a terminal shows, and a notebook keeps beside the HTML
        return "an element to play with, which a notebook shows"

    def _repr_html_(self) -> str:
        return self.html


def element(template: str, data: Mapping[str, Any], still: Figure, alt: str) -> Element:
    """A template of this folder, filled in. The same data give the same bytes.

    Args:
        template: its file name. @data@ becomes the data as JSON, @style@ what all elements look like, @id@ a name that
            no other element has, @still@ and @alt@ the still picture and its description.
        data: what the template's script reads.
        still: what stands there while no script has run.
        alt: what that shows, in words.
    """
    content = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")  # a name cannot end the script
    picture = BytesIO()
    still.savefig(picture, format="png")
    parts = {
        "style": _read("element.css"),
        "id": f"laya-{sha256(content.encode()).hexdigest()[:10]}",
        "still": base64.b64encode(picture.getvalue()).decode(),
        "alt": html.escape(alt),
        "data": content,
    }
    page = _read(template)
    for name, text in parts.items():
        page = page.replace(f"@{name}@", text)
    return Element(page)


def _read(file: str) -> str:
    return resources.files("laya_nb.report.figures").joinpath(file).read_text(encoding="utf-8")
