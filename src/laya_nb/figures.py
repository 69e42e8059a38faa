"""What readers import: `laya_nb.report.figures` under its short name."""

from laya_nb.report.figures import *  # noqa: F403
from laya_nb.report.figures import __all__ as __all__
