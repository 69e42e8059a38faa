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
# # Depth profiles: the data or the seed?
#
# [![Open in Colab](_static/open_in_colab.svg)](https://colab.research.google.com/github/laya-nb/laya-nb/blob/main/book/depth_profiles.ipynb)
#
# **Question.** The paper shows which layers LAYA uses for each class of Fashion-MNIST. Is that a property of the data, or
# of the one network that was trained?
#
# **Why it matters.** A picture such as "sandals are decided at layer 1" is an explanation only if the next network says
# the same.
#
# **Answer.** Of the one network, as far as ten seeds can tell. They differ in nothing else, and give ten different pictures:

# %% tags=["hide-input"] extras=["chapters"] mystnb={"code_prompt_show": "Set-up", "code_prompt_hide": "Set-up"}
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

# %% tags=["parameters", "hide-input"] tiny={"dataset": "fashion_mnist_sample", "max_epochs": 1, "seeds": [3, 4]} mystnb={"code_prompt_show": "Parameters", "code_prompt_hide": "Parameters"}
dataset: str = "fashion_mnist"  # or "fashion_mnist_sample": 4,000 images, no download
seeds: list[int] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]  # one LAYA run per seed
max_epochs: int = 50  # the longest run, in passes over the data

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Load the runs", "code_prompt_hide": "Load the runs"}
from laya_nb.report import parameters

parameters.check(globals())

import numpy as np

from laya_nb import figures
from laya_nb.analysis.attention import auroc, entropy, entropy_effect
from laya_nb.analysis.stability import chance_agreement, pair_estimate
from laya_nb.analysis.stability import pairwise_correlation, top_layer_agreement
from laya_nb.data.images import FASHION_MNIST_CLASSES as CLASSES
from laya_nb.report import tables
from laya_nb.runs import ResultStore, grid, paper, sweep
from laya_nb.statistics import estimate
from laya_nb.training import TrainingConfig

protocol = TrainingConfig(max_epochs=max_epochs)
runs = grid(dataset=[dataset], head=["laya"], seed=seeds, protocol=[protocol])
results = sweep(runs, ResultStore())
attention = np.stack([result.attention for result in results])  # runs, test images, layers
by_class = tables.class_profiles(results, len(CLASSES))  # runs, classes, layers

# %% tags=["hide-input"] mystnb={"image": {"alt": "Eleven small heat maps of ten classes by three layers: one for each of ten seeds, and their mean. Each seed's map has clear structure, nearly all cells close to 0 or 1, and each map has another one. In the mean map all cells lie between 0.15 and 0.6."}, "figure": {"caption": "Class profiles: the mean weight of each layer for the images of each class. One map per network, and the mean of all.", "name": "fig-class-heatmaps"}}
layers = ["$h_1$", "$h_2$", "$h_3$"]
panels = {f"seed {seed}": (layers, profile) for seed, profile in zip(seeds, by_class)}
panels[f"mean of {len(seeds)}"] = (layers, by_class.mean(axis=0))
figures.class_heatmaps(panels, CLASSES)

# %% [markdown]
# Each map alone is clear, and it is tempting to explain what it shows. Side by side they have little in common, and their
# mean is blurred.
#
# The runs are those of [the chapter on Fashion-MNIST](fashion_mnist.ipynb): same data, same settings, about the same
# accuracy.
#
# ## Prediction
#
# The paper reports 0.76 of the weight on the last layer, and a heat map by class that appears to come from one run. If
# that is what the data ask for, other seeds should give about the same.
#
# ## The global profile
#
# The mean of $\alpha_i(x)$ over all test images says how much each layer is used.

# %% mystnb={"image": {"alt": "Bar chart of the mean weight of three layers, with one dot for each of ten runs. The means are about 0.31, 0.31 and 0.38, and the dots scatter widely: for the last layer from 0.07 to 0.86. The paper's 0.76 is marked there."}, "figure": {"caption": "Mean weight of each layer over the test set. A dot is one run, a bar the mean over runs, the red line the paper's value for the last layer.", "name": "fig-global-profile"}}
profiles = attention.mean(axis=1)
figures.global_profile(profiles, paper.LAST_LAYER_WEIGHT["fashion_mnist"])

# %%
for i, weight in enumerate(profiles.T, start=1):
    e = estimate(weight)
    print(f"layer {i}: mean {e:.2f}, from {weight.min():.2f} to {weight.max():.2f}")

# %% [markdown]
# Two of the ten runs exceed the paper's 0.76. The mean weight of a layer ranges over 0.4 to 0.8, while accuracy stays
# within a point. So a value from one run cannot stand for the method.
#
# ## Do sandals rely on layer 1?
#
# The paper's heat map gives sandals 0.87 of their weight on layer 1, and trousers 0.98 on layer 3. Here is each of our
# runs, with the paper's values as crosses:

# %% mystnb={"image": {"alt": "Three panels, one per layer. For almost every class the ten dots are spread from 0 to 1, many at one end or the other. The paper's crosses lie among them."}, "figure": {"caption": "Mean weight of each class on each layer. A dot is one of our runs, a red cross the paper's heat map, which appears to be one run.", "name": "fig-profile-spread"}}
figures.profile_spread(by_class, CLASSES, paper.CLASS_PROFILES["fashion_mnist"])

# %%
sandals = by_class[:, CLASSES.index("Sandal"), 0]
print("sandals' weight on layer 1:", np.sort(sandals).round(2))
print(f"mean {estimate(sandals):.2f}")

# %% [markdown]
# In some networks they do, in others not at all. One run gives layer 1 nearly all of the weight on sandals, three give
# it none, and the paper's 0.87 lies within that range. Trousers and layer 3 are no different, nor are most classes and
# layers in the figure. The seed decides where a class goes.
#
# ## How much do two runs agree?
#
# Three measures, each over all pairs of runs:
#
# - *class profiles*: the correlation of two heat maps, after each layer's mean over classes is taken out;
# - *single images*: the same for the weights of single images;
# - *top layer*: the share of images whose largest weight is on the same layer in both runs, beyond what two shuffled
#   runs would share.

# %%
for what, weights in {"class profiles": by_class, "single images": attention}.items():
    r = pairwise_correlation(weights)
    print(f"{what}: correlation {pair_estimate(r):+.2f}, pairs from {r.min():+.2f} to {r.max():+.2f}")

# %%
same, chance = top_layer_agreement(attention), chance_agreement(attention)
print(f"same top layer: {same.mean():.0%} of images, {chance.mean():.0%} by chance")
print(f"beyond chance: {pair_estimate(same - chance):+.2f}")

# %% [markdown]
# We found no evidence that two runs agree more than by chance. Single pairs agree or disagree strongly, in both
# directions, as if each run picked the layers for its classes at random. [The chapter on
# stability](stability.ipynb) repeats the comparison with twenty runs and stricter controls.
#
# So a profile describes *one trained network*. Another network, about as accurate, weighs other layers. Whether removing
# a heavy layer would hurt the network that weighs it is yet another question:
# [the chapter on faithfulness](faithfulness.ipynb) answers it.
#
# ## Right and wrong predictions
#
# The paper says that attention is more diffuse when the prediction is wrong. Entropy measures how diffuse it is,
# $H(\alpha) = -\sum_i \alpha_i \log \alpha_i / \log L$: 0 for one layer, 1 for equal weights. As effect size we take
# the chance that a wrong prediction has the higher entropy of a wrong and a right one. This chance is called AUROC; 0.5
# means no effect.

# %%
entropies = [entropy(r.attention) for r in results]
pairs = [(h[r.correct], h[~r.correct]) for h, r in zip(entropies, results)]
effects = [entropy_effect(r.attention, r.correct) for r in results]

# %% mystnb={"image": {"alt": "First, cumulative curves: wrong predictions tend to have higher entropy than right ones, in every one of ten runs. Second, the AUROC of ten runs, from 0.57 to 0.74, mean 0.65 with a 95 percent interval from 0.61 to 0.69."}, "figure": {"caption": "Share of predictions whose entropy is below a value (thin lines are single runs), and the chance that a wrong prediction has the higher entropy (a dot is a run; the mean with its 95 % interval).", "name": "fig-entropy"}}
figures.entropy_of_right_and_wrong(pairs, effects)

# %%
print(f"AUROC of entropy {estimate([e.auroc for e in effects]):.2f}")
doubt = [auroc(1 - r.arrays["confidence"], ~r.correct) for r in results]
print(f"AUROC of low confidence {estimate(doubt):.2f}")

# %% [markdown]
# The paper's claim holds: in each of the ten runs wrong predictions have the more diffuse attention. (Of ten more runs,
# in [the chapter on stability](stability.ipynb), three have it the other way round.) But the effect is weak. The
# network's own confidence, its largest probability, is a far better sign of a mistake.
#
# ## What we found

# %%
from laya_nb.report import findings
from laya_nb.report.findings.depth_profiles import findings_of

findings.show(findings_of(results))

# %% [markdown]
# - The global profile depends on the seed: ten runs of one setting put from 0.07 to 0.86 of the weight on the last layer.
# - So do class profiles: sandals' weight on layer 1 is 0.00 in one run and 0.98 in another.
# - We found no evidence that two runs agree more than by chance, on classes or on single images.
# - Attention is more diffuse on wrong predictions, in all ten runs; as a sign of mistakes it is weaker than confidence.
#
# ## What this does not show
#
# - That profiles never agree. These are the paper's settings on Fashion-MNIST, with ten seeds. On
#   [CIFAR-10](cifar10.ipynb) all runs put their weight on the last layer.
# - Why the seed decides, and what runs may have in common all the same: [the next chapter](stability.ipynb).
# - What a sharp profile is worth in a single network: [the chapter on redundancy](redundancy.ipynb).
#
# ## Exercises
#
# 1. Take the two runs that agree most and the two that agree least. Do they differ in accuracy?
# 2. ScalarMix has one weight per layer for all images. Load its runs (`head=["scalar_mix"]`) and compare the spread of
#    its weights over seeds with LAYA's global profile.
# 3. Measure entropy's effect within one class, shirts for instance. Does it hold there?
#
# ```{dropdown} Solutions
# 1. `pairwise_correlation(by_class)` runs over the pairs (0, 1), (0, 2), ... The most alike are seeds 6 and 7 (0.79), the
#    least alike seeds 2 and 8 (-0.65). Accuracy (`result.metrics["accuracy"]`) does not tell: both pairs lie 0.65 points
#    apart.
# 2. ScalarMix's weights are much the same for every seed: about 0.25, 0.31 and 0.44, with standard deviations below
#    0.03. LAYA's are 0.14 to 0.26.
# 3. For shirts the AUROC is about 0.63 on average. For sandals and sneakers it is about 0.5: no effect.
# ```
#
# **To go further**, add a seed to `seeds`, or train at another temperature with `grid(temperature=[0.5, 1.5], ...)`.
#
# **Run time:** seconds with the published runs. To train all ten anew takes about 13 minutes on two cores.
