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
# # Layer by layer: what each layer knows, and what can be seen without labels
#
# [![Open in Colab](_static/open_in_colab.svg)](https://colab.research.google.com/github/laya-nb/laya-nb/blob/main/book/layer_by_layer.ipynb)
#
# **Question.** Is the last layer of a network its best? And can one tell a good layer from a poor one without labels, by
# its entropy, its curvature, or how well it keeps an example apart from others? Layer by Layer {cite}`layer_by_layer`
# answers no and yes: middle layers gain 2 to 16 %, and three label-free measures go with accuracy.
#
# **Why it matters.** A head that reads all layers, as LAYA does, is worth its parameters only where the last layer is not
# enough. A measure without labels would say so before anything is trained.
#
# **Answer.** Often the last layer is not the best. On two of four frozen networks a layer before it is ahead, by 7 and 10
# points on average over 12 or 13 tasks; on a decoder the gain is 1 point, and not shown. Which measure tells is not settled:
# over so few layers, curves that have nothing to do with accuracy go with it, too, and none of seven measures is clearly
# beyond that. InfoNCE comes closest:

# %% tags=["hide-input"] extras=["chapters", "pretrained"] mystnb={"code_prompt_show": "Set-up", "code_prompt_hide": "Set-up"}
# The package: the installed one, else the one in this checkout, else the repository's; and what this chapter needs.
import os, re, subprocess, sys, tempfile
from importlib import metadata, util
from pathlib import Path

extras, missing = ["chapters", "pretrained"], []

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

# %% tags=["parameters", "hide-input"] tiny={"text_encoders": [], "decoder_tasks": [], "image_encoders": ["vit_s_saliency+28px"], "image_tasks": ["world/size", "world/shape"], "control_encoders": ["vit_s_saliency+28px"], "image_sets": ["world/count"], "image_examples": 60, "networks": ["sample"], "seeds": [0, 1], "max_epochs": 1} mystnb={"code_prompt_show": "Parameters", "code_prompt_hide": "Parameters"}
text_encoders: list[str] = ["minilm", "reviews_gpt"]  # of laya_nb.features
image_encoders: list[str] = ["vit_s_saliency", "efficientnet_lite0"]  # or one of timm's: "vit_small_patch14_dinov2.lvd142m+98px"
text_tasks: list[str] = ["question", "number", "tense", "bigram_shift", "odd_word", "length", "place", "imdb", "library", "kind", "docs_number", "docs_bigram_shift", "docs_length"]  # of laya_nb.data.text_tasks
image_tasks: list[str] = ["cifar10_jpeg", "cifar10_coarse", "fashion_mnist", "letters", "rendering", "rotation", "world/count", "world/position", "world/orientation", "world/size", "world/colour", "world/shape"]  # of laya_nb.data.tasks
control_encoders: list[str] = ["minilm", "reviews_gpt", "vit_s_saliency", "efficientnet_lite0"]  # whose measures are shown with random weights, too
text_sets: list[str] = ["question", "kind"]  # tasks whose texts the figure of all measures shows
image_sets: list[str] = ["cifar10_jpeg", "fashion_mnist"]  # likewise pictures
text_examples: int = 1000  # training texts of each task, and as many test texts
image_examples: int = 2000  # training pictures of each task, and as many test pictures
decoder_tasks: list[str] = ["question", "tense", "bigram_shift", "number"]  # probed in the decoder while it learns; []: none
networks: list[str] = ["eight_layers", "cifar10", "imdb"]  # trained for their task; or "sample"
seeds: list[int] = [0, 1, 2]  # one of each network with either head for each
max_epochs: int = 50  # the longest training, in passes over the data

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Load the results", "code_prompt_hide": "Load the results"}
from laya_nb.report import parameters

parameters.check(globals())

import numpy as np
import pandas as pd

from laya_nb import figures
from laya_nb.analysis.layer_choice import SIGNS, Curves, distance_correlation_over_layers, spearman_over_layers
from laya_nb.report import tables, task_names
from laya_nb.runs import ResultStore
from laya_nb.runs.layer_measures import layer_measures
from laya_nb.runs.layer_results import layer_results
from laya_nb.statistics import compare, holm

store = ResultStore()
titles = {"minilm": "MiniLM", "reviews_gpt": "Our decoder", "vit_s_saliency": "ViT-S/14", "efficientnet_lite0": "EfficientNet"}
texts = [f"{task}@{text_examples}" for task in text_tasks]
pictures = [f"{task}@{image_examples}" for task in image_tasks]
data_of = dict.fromkeys(text_encoders, texts) | dict.fromkeys(image_encoders, pictures)
trained = {encoder: layer_results(encoder, data, store) for encoder, data in data_of.items()}
random = {e: layer_results(f"{e}+random", data, store, measures=False) for e, data in data_of.items()}

# %% tags=["hide-input"] mystnb={"image": {"alt": "Four panels. In MiniLM most curves fall from the middle to the sixth layer, and the mean ends lower than it begins. In our decoder they rise a little to the last of eight blocks. In the ViT they rise to layers 7 to 9 of 12 and fall to the last. In EfficientNet they rise to stage 6 of 7 and stay. With random weights the mean lies lower and is flat, or nearly; in EfficientNet it rises from 0.15 to 0.28, and in MiniLM the trained network's comes close to it at the last layer."}, "figure": {"caption": "How far a linear probe of each layer is from guessing to all right. A thin line is a task, a dot its best layer. With random weights: the same network, never trained, on the same tasks.", "name": "fig-depth-accuracy"}}
def of_the_way(results):
    """For every task and layer, from guessing (0) to all right (1)."""
    return np.array([result.of_the_way for result in results])

figures.accuracy_over_depth({titles.get(e, e): (of_the_way(trained[e]), of_the_way(random[e])) for e in trained})

# %% [markdown]
# ## Six measures, each with an answer that is known
#
# Below, `z` holds one row for each example, or for each token of one example. All measures are in
# `laya_nb.analysis.representation`, where the docstrings say what is centred and what is not, and when a measure is not
# defined. Here each is written down once more, short enough to be read, and tried on rows whose answer is known.
#
# ### Entropy of the spectrum, and effective rank
#
# How many directions do the rows use? With $s_i$ the singular values of `z` and $p_i = s_i^2 / \sum_j s_j^2$,
#
# $$S = -\sum_i p_i \log p_i .$$
#
# It is 0 if all rows lie on one line, and $\log N$ if $N$ rows are orthogonal. Over the tokens of one text or image it is
# called **prompt entropy**, over examples **data-set entropy**. The **effective rank** {cite}`effective_rank` is $e$ to the
# entropy of $s_i / \sum_j s_j$, without squares. Our test: $k$ of 100 rows point one way, the others another.

# %% mystnb={"image": {"alt": "Dots lie on an arch that is 0 at both ends and highest, 0.69, where half of the rows point either way."}, "figure": {"caption": "Entropy of 100 rows in two directions. The known answer is that of a coin that falls on one side k times in 100.", "name": "fig-toy-entropy"}}
from laya_nb.analysis import representation

def entropy(z):
    """Of rows z (N, D): the entropy of the shares of their squared singular values."""
    p = np.linalg.svd(z, compute_uv=False) ** 2
    p = p[p > 1e-12 * p.sum()] / p.sum()
    return -(p * np.log(p)).sum()

k = np.arange(5, 100, 5)
rows = [np.repeat(np.eye(2), [n, 100 - n], axis=0) for n in k]
coin = -(k * np.log(k / 100) + (100 - k) * np.log(1 - k / 100)) / 100
assert np.allclose([entropy(z) for z in rows], [representation.matrix_entropy(z) for z in rows])
figures.against_known(k, {"entropy(z)": [entropy(z) for z in rows]}, coin, "rows that point one way", "entropy")

# %% [markdown]
# ### Curvature
#
# Do successive tokens go straight on? The mean angle between one step $v_t = z_{t+1} - z_t$ and the next, from 0 on a line
# to $\pi$ on a zigzag. A polygon's sides turn by $2\pi/n$. Independent tokens turn by $2\pi/3$, a random walk by $\pi/2$.

# %% mystnb={"image": {"alt": "Dots fall along a curve from 2.1 for a triangle to 0.3 for twenty corners."}, "figure": {"caption": "Curvature of the corners of a regular polygon, one after the other.", "name": "fig-toy-curvature"}}
def curvature(z):
    """Of rows z (N, D) in their order: the mean angle between successive steps."""
    v = np.diff(z, axis=0)
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    return np.arccos(np.clip((v[1:] * v[:-1]).sum(axis=1), -1, 1)).mean()

n = np.arange(3, 21)
corners = [np.exp(2j * np.pi * np.arange(m + 2) / m) for m in n]
polygons = [np.stack([c.real, c.imag], axis=1) for c in corners]
assert np.allclose([curvature(z) for z in polygons], [representation.curvature(z) for z in polygons])
figures.against_known(n, {"curvature(z)": [curvature(z) for z in polygons]}, 2 * np.pi / n, "corners", "curvature")

# %% [markdown]
# ### InfoNCE
#
# The next three measures need **views**: versions of an example that say the same. Ours are texts with a few misspelt,
# dropped or split words, and images that were cropped, mirrored, recoloured and blurred. How well is view $a_i$ told to
# belong to $b_i$, and not to another $b_j$? With rows of length 1 and temperature $T = 0.1$ {cite}`cpc`,
#
# $$\mathrm{InfoNCE} = -\frac{1}{N}\sum_i \log \frac{\exp(a_i \cdot b_i / T)}{\sum_j \exp(a_i \cdot b_j / T)} .$$
#
# It is low where views find each other, and $\log N$ where they tell nothing. Our test: orthogonal examples, and views that
# point in their direction with cosine $c$, else in directions of their own.

# %% mystnb={"image": {"alt": "Dots fall along a curve from log 50, about 3.9, for cosine 0, to nearly 0 for cosine 1."}, "figure": {"caption": "InfoNCE of 50 orthogonal examples, against the cosine between an example and its view.", "name": "fig-toy-infonce"}}
def info_nce(a, b, temperature=0.1):
    """Of two views a and b (N, D) with rows of length 1: the mean cross-entropy of finding one's own view."""
    logits = a @ b.T / temperature
    return (np.log(np.exp(logits).sum(axis=1)) - np.diag(logits)).mean()

c, examples = np.linspace(0, 1, 21), np.eye(50, 100)
views = [cosine * examples + np.sqrt(1 - cosine**2) * np.eye(50, 100, k=50) for cosine in c]
assert np.allclose([info_nce(examples, v) for v in views], [representation.info_nce(examples, v) for v in views])
known = np.log(1 + 49 * np.exp(-10 * c))
figures.against_known(c, {"info_nce(a, b)": [info_nce(examples, v) for v in views]}, known, "cosine", "InfoNCE")

# %% [markdown]
# ### DiME
#
# How much less entropy have two views together than if their examples were mixed up? With $K = Z Z^\top$, entries multiplied
# one by one, and random permutations $P$ {cite}`dime`,
#
# $$\mathrm{DiME} = \mathbb{E}_P\left[S(K_a \circ P K_b P^\top)\right] - S(K_a \circ K_b) .$$
#
# It is 0 where all examples are the same, and also where all are apart: it is largest for clusters that both views have.
# For $k$ equal clusters it tends to $\log k$ as examples become many.

# %% mystnb={"image": {"alt": "Dots rise close along the line of the logarithm, a little below it for many clusters."}, "figure": {"caption": "DiME of two views of 600 examples in k clusters. The known answer is that of infinitely many examples.", "name": "fig-toy-dime"}}
def dime(a, b, permutations=5):
    """Of two views a and b (N, D) with rows of length 1: entropy of mixed-up pairs less that of the true ones."""
    def spectrum(gram):
        p = np.linalg.eigvalsh(gram)
        p = p[p > 1e-12 * p.sum()] / p.sum()
        return -(p * np.log(p)).sum()
    rng, k_a, k_b = np.random.default_rng(0), a @ a.T, b @ b.T
    orders = [rng.permutation(len(a)) for _ in range(permutations)]
    return np.mean([spectrum(k_a * k_b[p][:, p]) for p in orders]) - spectrum(k_a * k_b)

k = np.array([1, 2, 3, 4, 6, 8, 10])
clusters = [np.eye(n)[np.arange(600) % n] for n in k]
assert np.isclose(dime(clusters[2], clusters[2]), representation.dime(clusters[2], clusters[2], permutations=5))
figures.against_known(k, {"dime(a, b)": [dime(z, z) for z in clusters]}, np.log(k), "clusters k", "DiME")

# %% [markdown]
# ### LiDAR
#
# In how many directions do examples differ by more than their own views do? LiDAR {cite}`lidar` is the entropy of the
# eigenvalues of $\Sigma_w^{-1/2}\, \Sigma_b\, \Sigma_w^{-1/2}$, where $\Sigma_b$ is the covariance of the examples' means
# over their views, and $\Sigma_w$ that of views around these means, plus $10^{-4}$ on the diagonal. If examples differ
# equally in $k$ directions it is $\log k$. Noise in a direction takes that away:

# %% mystnb={"image": {"alt": "Dots of silent directions lie on the logarithm of k. Where views scatter in every other direction, dots lie lower by log 2."}, "figure": {"caption": "LiDAR of examples that differ in k directions: without noise, and with views that scatter in every other direction.", "name": "fig-toy-lidar"}}
def lidar(views, delta=1e-4):
    """Of Q views of N examples (N, Q, D): the entropy of directions, each in units of the scatter of views."""
    means = views.mean(axis=1)
    within = np.einsum("nqd,nqe->de", views - means[:, None], views - means[:, None])
    within = within / (len(views) * (views.shape[1] - 1)) + delta * np.eye(views.shape[2])
    p = np.linalg.eigvals(np.linalg.solve(within, np.cov(means.T))).real
    p = p[p > 1e-12 * p.sum()] / p.sum()
    return -(p * np.log(p)).sum()

k = np.array([2, 4, 8, 16, 32])
means = [np.concatenate([np.eye(n), -np.eye(n)])[:, None] for n in k]
silent = [np.repeat(m, 2, axis=1) for m in means]
noisy = [m + np.concatenate([np.eye(n)[1::2], -np.eye(n)[1::2]]) for n, m in zip(k, means)]
assert np.allclose([lidar(v) for v in noisy], [representation.lidar(v) for v in noisy])
found = {"without noise": [lidar(v) for v in silent], "half with noise": [lidar(v) for v in noisy]}
figures.against_known(k, found, np.log(k), "directions k", "LiDAR")

# %% [markdown]
# ### CKA
#
# How alike do two layers arrange the same examples? CKA {cite}`cka` is the cosine between the two layers' Gram matrices.
# Counted naively, layers that have nothing to do with each other look alike if they are wide. The unbiased form
# {cite}`unbiased_cka` does not count an example's similarity to itself, and that mends it:

# %% mystnb={"image": {"alt": "Dots of the naive form rise from 0.1 to 0.9 with the width, although the layers have nothing in common. Those of the unbiased form stay at 0."}, "figure": {"caption": "CKA of two independent random layers on 100 examples, against their width. It should be 0.", "name": "fig-toy-cka"}}
def unbiased_cka(x, y):
    """Of layers x and y (N, D): the cosine of their Gram matrices, U-centred."""
    def u_centred(z):
        gram, n = (z - z.mean(axis=0)) @ (z - z.mean(axis=0)).T, len(z)
        np.fill_diagonal(gram, 0)
        gram = gram - (gram.sum(0) + gram.sum(1)[:, None]) / (n - 2) + gram.sum() / ((n - 1) * (n - 2))
        np.fill_diagonal(gram, 0)
        return gram / np.linalg.norm(gram)
    return (u_centred(x) * u_centred(y)).sum()

rng, widths = np.random.default_rng(0), np.array([10, 30, 100, 300, 1000])
pairs = [(rng.standard_normal((100, d)), rng.standard_normal((100, d))) for d in widths]
assert np.allclose([unbiased_cka(*pair) for pair in pairs], [representation.unbiased_cka(*pair) for pair in pairs])
found = {"unbiased": [unbiased_cka(*pair) for pair in pairs], "naive": [representation.linear_cka(*pair) for pair in pairs]}
figures.against_known(np.log10(widths), found, 0 * widths, "log10 of the width", "CKA")

# %% [markdown]
# What the authors released departs from their definitions in ways that change numbers: it centres within batches of two
# examples, folds angles, and clips the Gram matrix. Ours follows the definitions, in double precision. Entropies and the
# rank are of rows that are centred over the sample and brought to length 1.
#
# ## Encoders, tasks and probes
#
# - **MiniLM** {cite}`minilm`, six blocks, trained for sentence embeddings.
# - **A decoder of our own**, eight blocks and 8 million parameters, a language model of film reviews
#   (its card: `data/encoders/reviews_gpt/README.md`).
# - **A ViT-S/14** tuned for saliency and **EfficientNet-Lite0**, the two of [attentive layer fusion](fusion.ipynb).
#
# A layer is read as the mean over its tokens or positions, before any final norm. Measures and probes see these very
# vectors. The control is the same network with random weights: what a measure or a probe says of that, training has no part
# in. The probe is a logistic regression on standardised coordinates with a strong penalty. Measures are of 500 test inputs
# of the task's kind, with 16 views each.
#
# For images the tasks are those of the fusion chapter. For texts there are 13, none of which needs a download beyond IMDB's
# reviews, from what a text says to how it is built. Guessing gets the first column, a logistic regression on words the
# second; classes have texts of equal lengths, but for the task that asks for the length.

# %%
from laya_nb.runs.layer_results import classes, word_accuracy

def best_and_last(results):
    """Of each task, in percent: what probes of the best and of the last layer get."""
    rows = {}
    for result in results:
        rows[task_names.title(result.task)] = {"best": 100 * result.best, "last": 100 * result.accuracy[-1]}
    return pd.DataFrame(rows).T.round(1)

def without_network(tasks):
    """Of each task, in percent: guessing, and for texts a logistic regression on words."""
    words = {task: 100 * word_accuracy(f"{task}@{text_examples}", store) for task in tasks if task in text_tasks}
    rows = {task_names.title(task): {"guessing": 100 / classes(task), "words": words.get(task)} for task in tasks}
    return pd.DataFrame(rows).T.dropna(axis=1).round(1)

def with_networks(encoders, tasks):
    """The tables side by side."""
    found = {"": without_network(tasks)} | {titles.get(e, e): best_and_last(trained[e]) for e in encoders}
    return pd.concat(found, axis=1)

with_networks(text_encoders, text_tasks) if text_encoders else "no texts"

# %%
with_networks(image_encoders, image_tasks) if image_encoders else "no images"

# %% [markdown]
# ## Prediction
#
# Written before any accuracy was looked at beside a measure; what single layers of the ViT know was seen before, in
# [the fusion chapter](fusion.ipynb).
#
# - In MiniLM a middle layer is best for most tasks about form, and the last for most about meaning. In the ViT, which was
#   tuned for another purpose, no task wants the last layer; in EfficientNet the last one or two are best for objects.
# - The decoder's last layer, which must predict the next token, is not its best. It has a valley of prompt entropy in its
#   middle, which is not there before training. (Written while it was trained.)
# - A good layer has little prompt entropy, curvature and InfoNCE, and much data-set entropy, rank, DiME and LiDAR: the
#   directions that the papers give. We expect InfoNCE and DiME to go with accuracy beyond chance, and the others not.
#
# ## Is the last layer the best?
#
# "The best layer" of a task is chosen on one half of the test examples and judged on the other, so it owes nothing to the
# luck of being the best of many. One task counts once; the interval is over tasks like these, corrected for the comparisons
# made together (Holm).

# %%
margin = 0.5  # points of accuracy: less is too small to matter
ahead = holm({
    titles.get(encoder, encoder): compare(
        [100 * result.best for result in results], [100 * result.accuracy[-1] for result in results], margin
    )
    for encoder, results in trained.items()
})
tables.comparison_table(ahead)

# %%
from laya_nb.runs.layer_results import tasks_that_gain

pd.DataFrame({titles.get(encoder, encoder): tasks_that_gain(results) for encoder, results in trained.items()}).T

# %% [markdown]
# On texts MiniLM's last layer is the worst of its six for ten of 13 tasks, and the best for one, *which library*. The best
# layer is 9.8 points ahead, 4.7 to 14.9. It was trained to be averaged into a sentence's embedding, which need not tell how
# many words there are. The ViT's best layer is 6.9 points ahead, 3.5 to 10.3: most tasks peak at layers 7 to 9 of 12, the
# question how a picture was drawn at layer 4. EfficientNet's is 3.2 ahead, 0.3 to 6.2, which a correction for four networks
# leaves undecided; the last stage is the best for three tasks. The paper reports 2 to 16 %.
#
# **Our decoder is different.** Its last block is the best for tense and for question or statement, which may help to predict
# the next word. Its best layer is 1.0 points ahead on average, -0.2 to 2.2: the middle is ahead on *how many words*, by 5
# points, and block 7 on *has a number*, by 2.
#
# Training does two things, as the broken lines show. It makes layers that know more than random ones; and in MiniLM it
# takes away. *How many words* is read from the last layer of the network with random weights for 84 % of the sentences, from
# the trained one's for 65 %.
#
# ## Networks trained for the task
#
# A network that is trained end to end makes its last layer to be read, if that is what its head reads. Eight layers on
# Fashion-MNIST, from [the chapter on depth](depth.ipynb), the three of the convolutional network for
# [CIFAR-10](cifar10.ipynb) and the two of the recurrent one for [IMDB](imdb.ipynb), each with two heads, and with its random
# weights before training: what does a probe of each layer get?

# %%
from laya_nb.heads import HEAD_LABELS
from laya_nb.report.networks import NETWORKS, runs_of
from laya_nb.runs.measurements import measure
from laya_nb.runs.trained_layers import trained_layers, untrained_layers
from laya_nb.statistics import estimate

def by_layer(found):
    """Of each layer, the accuracy of its probe in percent, with its interval over seeds."""
    accuracy = np.array([100 * of["right"].mean(axis=1) for of in found])
    return {f"layer {i}": f"{estimate(of):.1f}" for i, of in enumerate(accuracy.T, 1)}

rows = {}
for name in networks:
    runs = {head: runs_of(name, seeds, max_epochs, head) for head in ("last_layer", "laya")}
    columns = {HEAD_LABELS[head]: by_layer(measure(of, trained_layers, store)) for head, of in runs.items()}
    columns["never trained"] = by_layer([untrained_layers(run, store).arrays for run in runs["laya"]])
    rows[NETWORKS[name].title] = pd.DataFrame(columns)
pd.concat(rows)

# %% [markdown]
# Under the usual head probes do better to the end: 86 % at the first layer, 89 % at the last two. Under LAYA, whose head
# reads all layers, the mean is highest at the fourth, 88 %, and 1 point lower at the last. But the three seeds peak at layers
# 3, 4 and 7, and the intervals overlap: that LAYA moves what layers know is not shown.
#
# In the convolutional network the last of three layers is far ahead under either head: 67 % against 49 and 36, with LAYA 66 %
# against 47 and 35. In the recurrent one the two layers are level, within half a point.
#
# The control shows what training makes. Never trained, the eight layers lose from one to the next what the pixels tell, from
# 78 % to 67 %; trained, each of them tells 86 to 89 %. In the convolutional network random layers rise a little, from 27 % to
# 34 %, and training adds most at the end. In the recurrent one nearly everything comes from training: probes of random layers
# get 54 %.
#
# ## What the measures say, layer by layer

# %% tags=["hide-input"] mystnb={"image": {"alt": "A grid of eight measures by four networks. In EfficientNet data-set entropy, rank and LiDAR rise from stage to stage and InfoNCE falls. In the ViT data-set entropy and rank rise to layer 8 to 10 and fall, InfoNCE is lowest at layer 8. In MiniLM entropy and rank jump at the last layer. In our decoder they rise from block 5 on, and InfoNCE falls there. Prompt entropy falls with depth in MiniLM and the ViT and rises in the decoder. With random weights the curves are flat in MiniLM."}, "figure": {"caption": "Every measure over the layers of four networks, a line for each of two sets of inputs, and one for random weights on the first of them. Entropies in nats, curvature in radians.", "name": "fig-depth-measures"}}
sets_of = {encoder: text_sets if encoder in text_encoders else image_sets for encoder in trained}

def measured(encoder, sets, random=""):
    """The measures of all layers on each set of inputs."""
    size = text_examples if encoder in text_encoders else image_examples
    return [layer_measures(encoder + random, f"{task}@{size}", store).arrays for task in sets]

def control(encoder):
    """The same with random weights, on the first set."""
    return measured(encoder, sets_of[encoder][:1], "+random") if encoder in control_encoders else []

by_encoder = {titles.get(encoder, encoder): (measured(encoder, of), control(encoder)) for encoder, of in sets_of.items()}
figures.measures_over_depth(by_encoder)

# %% [markdown]
# - **Entropy and rank** rise through EfficientNet, which gets wider from stage to stage, and fall at the end of the ViT. At
#   the end of our decoder they rise, where probes get most, and in MiniLM, where they get least. So more entropy is not more
#   knowledge.
# - **Prompt entropy** falls with depth in MiniLM and, from layer 4 on, in the ViT: tokens of one input become alike. In our
#   decoder it rises, to the block before the last.
# - **InfoNCE** is lowest at the ViT's layer 8 and rises again to the last. It can exceed $\log N$, 6.2 here: then views are
#   confidently taken for those of other examples.
# - **CKA** says where a network changes: the ViT's last two layers arrange examples alike, at 0.99.
#
# ## A decoder while it learns
#
# The paper's claims are about decoders: prompt entropy has a valley in their middle, and there the best layers are. Ours was
# kept at eight points of its training, the first of them before it. How deep the valley is: the lower of the two ends less
# the lowest block between them. It is 0 where there is none.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Three panels with a line for each of eight points of the training. Prompt entropy: nearly flat before training, falling steeply from block to block after 0.24 million tokens, rising gently with depth from 1.9 million on. Curvature between 1.97 and 2.09, later falling in the last blocks. Probes: they get about a third of the way before training, less after 0.7 million tokens, and at the end from 0.48 in the first block to 0.60 in the last."}, "figure": {"caption": "Our decoder's blocks at eight points of its training: prompt entropy and curvature of 500 texts, and how far probes are from guessing to all right, as a mean over four tasks.", "name": "fig-decoder-training"}}
from laya_nb.runs.through_training import through_training

probed_on = [f"{task}@{text_examples}" for task in decoder_tasks]
points = [result.arrays for result in through_training(probed_on[0], probed_on, store)] if probed_on else []
guessing = np.array([[1 / classes(task)] for task in decoder_tasks])
over = {
    "prompt entropy, nats": [point["prompt_entropy"] for point in points],
    "curvature, radians": [point["curvature"] for point in points],
    "how far probes get": [((point["accuracy"] - guessing) / (1 - guessing)).mean(axis=0) for point in points],
}
tokens = np.array([point["tokens"][0] for point in points])
figures.over_training(tokens, {title: np.array(rows) for title, rows in over.items()}) if points else None

# %%
def at_a_point(point, of_the_way):
    """Of one point of the training: the loss, the valley, and where probes do best."""
    entropy, best = point["prompt_entropy"], of_the_way.argmax()
    return {
        "million tokens": f"{point['tokens'][0] / 1e6:.2f}",
        "loss per token": f"{point['validation_loss'][0]:.2f}",
        "valley": f"{max(min(entropy[0], entropy[-1]) - entropy[1:-1].min(), 0):.2f}",
        "lowest block": entropy.argmin() + 1,
        "best block": best + 1,
        "its lead over the last": f"{of_the_way[best] - of_the_way[-1]:.2f}",
    }

along = map(at_a_point, points, over["how far probes get"])
pd.DataFrame(along).set_index("million tokens") if points else "no decoder"

# %% [markdown]
# **There is no valley**: 0.01 nats at one point of the training, and less at all others. The first steps make tokens alike:
# after 0.2 million of them prompt entropy falls from block to block. From 2 million on it rises with depth, and so does what
# probes get. Before that the first block is the best to read, and from then on one of the last two.
#
# The paper's valley is in networks of hundreds of millions of parameters and more. Whether it takes such a size, another kind
# of text, or the paper's own reading of a layer, this experiment cannot say. It says that a decoder can learn without one.
#
# ## Which measure goes with accuracy?
#
# For each encoder and task, the rank correlation over layers of a measure with the probes' accuracy, turned so that the
# expected direction is positive. Layers are few and smooth, and two curves over depth that have nothing to do with each
# other often rise together. So what counts as chance is a **random walk** in the measure's place, one for each encoder:
# all tasks of an encoder share its curve.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Seven rows. The means of InfoNCE, 0.50, effective rank, 0.46, and data-set entropy, 0.43, lie beyond the grey bars of random walks, which end at 0.36. Curvature, DiME and LiDAR lie within theirs, prompt entropy lies below 0. Single tasks scatter from minus 1 to 1 in every row."}, "figure": {"caption": "Rank correlation over layers of each measure, in the direction that was expected, with accuracy. A grey bar reaches from the mean of random walks to their 95 % point: a mean beyond it would be more than chance, were it the only measure.", "name": "fig-correlations"}}
def curves(name):
    """This measure and the accuracy of probes, over the layers of every encoder and task where it is defined."""
    return [
        Curves(result.encoder, result.measures[name], result.accuracy, SIGNS[name])
        for results in trained.values()
        for result in results
        if name in result.measures and np.isfinite(result.measures[name]).all()
    ]

ranked = {name: spearman_over_layers(curves(name)) for name in SIGNS if curves(name)}
figures.correlations_over_layers(ranked, "rank correlation over layers")

# %%
from statsmodels.stats.multitest import multipletests

corrected = dict(zip(ranked, multipletests([found.p for found in ranked.values()], method="holm")[1]))
distance = {name: distance_correlation_over_layers(curves(name)) for name in ranked}
pd.DataFrame(
    {
        name: {
            "encoders": len({unit.encoder for unit in curves(name)}),
            "rank correlation": f"{ranked[name].mean:+.2f}",
            "walks, 95 % point": f"{ranked[name].null_high:+.2f}",
            "p (Holm)": tables.p_text(corrected[name]),
            "distance correlation": f"{distance[name].mean:.2f}",
            "of walks, mean": f"{distance[name].null_mean:.2f}",
            "95 % point": f"{distance[name].null_high:.2f}",
        }
        for name in ranked
    }
).T

# %% [markdown]
# InfoNCE has the highest mean rank correlation, 0.50; random walks reach 0.36 in one of twenty draws. By itself that would be
# $p = 0.008$, corrected for seven measures it is 0.056. Rank and data-set entropy come next, and against them stands
# MiniLM, where they point to the last layer. DiME, which we expected to do well, does not leave chance behind.
#
# Beware of the paper's distance correlation. It is between 0.68 and 0.82 for all seven, which looks like much. Walks have
# 0.66 on average. Rank, data-set entropy and LiDAR lie beyond the walks' 95 % point of 0.75, but this correlation knows no
# sign: in MiniLM they rise where accuracy falls.
#
# ## What we found

# %%
from laya_nb.report import findings
from laya_nb.report.findings.layer_by_layer import findings_of, headline

findings.show(findings_of(ahead, ranked, corrected), headline(ahead))

# %% [markdown]
# - Often the last layer is not the best: 10 of 13 tasks on MiniLM, 10 of 12 on the ViT, 5 of 12 on EfficientNet and 3 of 13
#   on our decoder have a layer that is ahead of it, and on no task is the last ahead of the best of the others.
# - Training a network for one purpose can take away what a random network keeps.
# - Our decoder has no valley of prompt entropy, and its best blocks are its last.
# - Of seven label-free measures none is shown to go with accuracy over layers in the expected direction, more than a random
#   walk does, once corrected for seven. InfoNCE is closest, and picks layer 8 of 12 in the ViT, the best on average.
#
# **Against our prediction:** the decoder. And DiME is not beyond chance, and MiniLM's last layer is not the best for meaning
# either: only for *which library*.
#
# **To measure your own network,** five lines do, for anything that `HiddenStates` reads:
#
# ```python
# from laya_nb import figures
# from laya_nb.report.layer_report import layer_report
#
# table = layer_report("minilm", texts, labels)  # labels may be left out
# figures.layers(table)
# ```
#
# ## What this does not show
#
# - That it is so for large models. Those of the paper are language models of hundreds of millions of parameters and more,
#   ours have 5 to 22 million and 6 to 12 layers.
# - Much about decoders: ours is one, trained once, on one kind of text.
# - What a layer knows that no linear probe of its mean finds.
# - That the tasks stand for others. Six of the twelve on images ask about the same drawn scenes; texts come from two sources.
# - That measures of 500 inputs would be the same on more. Entropies grow with the number of inputs.
#
# ## Exercises
#
# 1. Two tokens, centred: what is their prompt entropy, whatever they are?
# 2. Why can an entropy of centred rows never reach $\log N$?
# 3. Draw 2,000 pairs of random walks of 12 steps. How often is their rank correlation beyond 0.6, either way?
#
# ```{dropdown} Solutions
# 1. 0: centred, one is the other's negative, so both lie on one line.
# 2. Centred rows sum to 0, so they span at most $N - 1$ directions.
# 3. With `random_walks(2000, 12, rng)` of `laya_nb.analysis.layer_choice` for both and `scipy.stats.spearmanr`: in 29 of
#    100 pairs it is above 0.6 or below -0.6.
# ```
#
# **To go further**, put another encoder in its place: `image_encoders = ["vit_small_patch14_dinov2.lvd142m+98px"]`, one of
# timm's. [The next chapter](choosing_a_layer.ipynb) asks what all this is worth when a layer must be chosen.
#
# **Run time:** a minute with the published results. To measure all anew takes about three hours on two cores, and to train
# the decoder one more, or several on processors that do not multiply in bfloat16.
