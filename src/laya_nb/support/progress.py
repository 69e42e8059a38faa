"""A progress bar with the time left, shown only to a person who watches."""

import os
import sys
from typing import Any

from tqdm.auto import tqdm


def bar(**options: Any) -> tqdm:
    """A tqdm bar: in a terminal or an open notebook. Logs and pipes get none; TQDM_DISABLE=1 turns it off anywhere."""
    ipython = sys.modules.get("IPython")  # not 'ipykernel': pytest plugins import that in a plain terminal
    in_notebook = ipython is not None and hasattr(ipython.get_ipython(), "kernel")
    if os.environ.get("TQDM_DISABLE", "0") not in ("", "0"):
        options["disable"] = True  # tqdm's own bar for notebooks takes no notice of the variable
    elif not in_notebook:
        options["disable"] = None  # tqdm's word for 'unless the output is no terminal'
    return tqdm(leave=False, **options)
