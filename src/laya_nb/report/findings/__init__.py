"""What the book finds: `base` is what all chapters share, and each chapter that finds something has a module here.

A chapter imports its own module, `from laya_nb.report.findings.depth import findings_of`. This file imports none of
them: a chapter's outputs are as fresh as the modules that it loads, and those of the others are not among them.
"""

from laya_nb.report.findings.base import (
    MARGIN,
    ChapterFindings,
    Finding,
    Number,
    find,
    in_plain_words,
    load,
    load_all,
    show,
    shown,
    table,
)

__all__ = [
    "MARGIN", "ChapterFindings", "Finding", "Number", "find", "in_plain_words", "load", "load_all", "show", "shown",
    "table",
]  # fmt: skip
