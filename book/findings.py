# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # All findings
#
# [![Open in Colab](_static/open_in_colab.svg)](https://colab.research.google.com/github/laya-nb/laya-nb/blob/main/book/findings.ipynb)
#
# Everything that the chapters found, in two pictures and one table. Nothing is computed here: each chapter writes down
# what it found when it is built, and this page reads it.

# %% tags=["remove-input"] extras=["chapters"]
# The package: the installed one, else the one in this checkout, else the repository's; and what this chapter needs.
import os, re, subprocess, sys, tempfile
from importlib import metadata, util
from pathlib import Path

extras, missing = ["chapters"], []

def version(requirement):
    try:
        return metadata.version(re.match(r"[\w.-]+", requirement)[0])
    except metadata.PackageNotFoundError:
        return None

checkout = next((p for p in Path.cwd().resolve().parents if (p / "src" / "laya_nb").is_dir()), None)
if version("laya-nb"):
    needed = [r for r in metadata.requires("laya-nb") if re.search(f"extra == .({'|'.join(extras)})\\b", r)]
    missing = [r.partition(";")[0] for r in needed if not version(r)]
elif checkout is not None:
    sys.path.insert(0, str(checkout / "src"))
elif util.find_spec("laya_nb") is None:
    source = os.environ.get("LAYA_NB_SOURCE", "git+https://github.com/laya-nb/laya-nb@main")
    missing = [f"laya-nb[{','.join(extras)}] @ {source}"]
if missing:  # pip must leave the host's own torch and numpy alone
    keep = [f"{p}=={version(p)}\n" for p in ("torch", "torchvision", "numpy") if version(p)]
    constraints = Path(tempfile.mkdtemp(), "constraints.txt")
    constraints.write_text("".join(keep))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--constraint", constraints, *missing]
    subprocess.run(pip, check=True)

# %% tags=["remove-input"]
from laya_nb import figures
from laya_nb.report import findings

chapters = findings.load_all()

# %% tags=["remove-input"] mystnb={"image": {"alt": "Two panels of intervals. Differences of accuracy: most intervals hold zero. On CIFAR-10 LAYA is 1.9 points below LastLayer. On the frozen transformer it is 3.1 points above layer 6, close to layer 5, and 1.5 and 1.4 points below ScalarMix and equal weights. Weights, correlations and AUROCs: the last layer has a weight of 0.38 and 0.29 on Fashion-MNIST and IMDB, with wide intervals, and of 0.95 on CIFAR-10; what runs have in common lies near zero; the AUROC of entropy is 0.65."}, "figure": {"caption": "All findings that are one number, with their 95 % intervals. The thin vertical line in a row marks the value that would mean no effect. A dark interval leaves it out, a grey one holds it or has no such value.", "name": "fig-forest"}}
figures.forest(chapters)

# %% [markdown]
# How the intervals and the answers below go together is said once, in
# [the chapter on Fashion-MNIST](fashion_mnist.ipynb#how-to-read-these-tables). These are the answers of single chapters:
# across the whole table nothing is corrected for the number of questions, so one or two of them may be luck.

# %% tags=["remove-input"]
findings.table(chapters)
