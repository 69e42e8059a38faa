# %% [markdown]
# # Depth follows the question: does attention?
#
# [![Open in Colab](_static/open_in_colab.svg)](https://colab.research.google.com/github/laya-nb/laya-nb/blob/main/book/questions.ipynb)
#
# **Question.** Different questions about one image are answered at different depths of a network. Do LAYA, ScalarMix and
# attentive layer fusion put their weights where the answer is?
#
# **Why it matters.** It is what weights over layers are said to show. The networks that this book trained could not test
# it: their layers hardly differed ([redundancy](redundancy.ipynb)). In a frozen network, asked many questions, they do.
#
# **Answer.** ScalarMix and fusion do: tokens that know more get more weight. LAYA's weight follows the depth of the answer
# too, but lands on a single layer, and on which one depends on the seed:

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

# %% tags=["parameters", "hide-input"] tiny={"questions": ["world/size", "world/shape"], "examples": 120, "encoder": "vit_s_saliency+28px", "seeds": [0, 1], "min_steps": 1, "max_epochs": 1, "two": ["world/size", "world/shape"]} mystnb={"code_prompt_show": "Parameters", "code_prompt_hide": "Parameters"}
encoder: str = "vit_s_saliency+bf16"  # or one of timm's: "vit_small_patch14_dinov2.lvd142m+98px"
questions: list[str] = ["pictures/class", "pictures/rendering", "pictures/turn", "world/shape", "world/colour", "world/size", "world/count", "world/position", "world/orientation"]  # tasks of laya_nb.data.tasks
examples: int = 2000  # training pictures, and as many test pictures
heads: list[str] = ["scalar_mix", "laya_low_rate", "fusion"]  # probes of laya_nb.runs.probes that weigh layers
seeds: list[int] = [0, 1, 2, 3, 4]  # one training of each head and question
two: list[str] = ["pictures/class", "pictures/rendering"]  # two questions about the same pictures
max_epochs: int = 20  # passes over the data
min_steps: int = 1000  # where these passes are fewer steps, there are more

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Load the runs", "code_prompt_hide": "Load the runs"}
from laya_nb.report import parameters

parameters.check(globals())

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from laya_nb import figures, features
from laya_nb.analysis.tasks import above_chance, centre_of_depth
from laya_nb.data import tasks, world
from laya_nb.report import tables, task_names
from laya_nb.runs.probes import PROBES, benchmark, layers, single_layers
from laya_nb.statistics import estimate
from laya_nb.training.config import FUSION

protocol = replace(FUSION, max_epochs=max_epochs, min_steps=min_steps)
datasets = [f"{question}@{examples}" for question in questions]
found = benchmark(datasets, heads, encoder, seeds, protocol)
single = single_layers(datasets, encoder, seeds, protocol)
names = [task_names.title(question) for question in questions]
of_layer = [[int(state[1:]) - 1 for state in of] for of in layers(encoder)]  # the tokens of each layer
accuracy = {q: np.array([[100 * r.metrics["accuracy"] for r in single[f"{q}@{examples}", f"h{t + 1}"]] for of in of_layer for t in of]) for q in questions}
knows = np.stack([above_chance(accuracy[q].mean(axis=1), task_names.chance(q)) for q in questions])  # questions x tokens
weights = {h: np.stack([[r.attention.mean(axis=0) for r in found[f"{q}@{examples}", h]] for q in questions]) for h in heads}  # questions x seeds x tokens

def by_layer(values, how=np.sum):
    """Tokens (..., T) to layers (..., L)."""
    return np.stack([how(values[..., of], axis=-1) for of in of_layer], axis=-1)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Four heat maps of nine questions by twelve layers. What a probe knows is largest at layers 7 to 10 for most questions, for rendering at 3 to 6. The weights of ScalarMix and of fusion are largest about there. LAYA has single dark cells, scattered."}, "figure": {"caption": "Nine questions about images, twelve layers of a frozen ViT. Top left: how much of the way from guessing to all right a linear probe of the layer gets (the better of CLS and AP). The others: the weight that each head gives to the layer (CLS and AP together), mean over pictures and seeds. Every row is divided by its largest value.", "name": "fig-questions"}}
maps = {"What a probe knows": by_layer(knows, np.max)}
maps |= {f"Weight of {PROBES[head].label}": by_layer(weights[head].mean(axis=1)) for head in heads}
maps = {title: values / values.max(axis=1, keepdims=True) for title, values in maps.items()}
depth = len(of_layer)
columns = [str(i + 1) if i in (0, depth // 2 - 1, depth - 1) else "" for i in range(depth)]
figures.task_heatmaps(maps, names, columns, "share of the row's largest value", across=2)

# %% [markdown]
# ## The same pictures, many questions
#
# Two sets of pictures, both read by the ViT-S/14 of [the last chapter](fusion.ipynb), in the same way: CLS and AP of twelve
# places in the network, one linear probe for each of the 24 tokens, and heads that weigh all of them.
#
# **Photographs, changed.** Pictures of CIFAR-10 (a JPEG copy), turned by a random number of quarter turns and then shown
# in one of ten renderings: blurred, noisy, with four grey levels, as edges, and so on. What is shown? How does it look?
# Which way up is it? All three answers are drawn independently.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Eight small photographs in a row, each turned and in a rendering of its own.", "class": "photograph"}, "figure": {"caption": "The first eight test pictures, and their renderings.", "name": "fig-pictures"}}
shown = tasks.sample()
rendering = [tasks.RENDERINGS[i] for i in found[f"{two[1]}@{examples}", heads[0]][0].arrays["label"][:8]] if "pictures" in two[1] else [""] * 8
figures.row_of_pictures(shown.permute(0, 2, 3, 1).numpy(), rendering)

# %% [markdown]
# **A drawn world.** Scenes of one to six shapes, of which one is marked by an outline. How many shapes? And the marked one:
# where is it, which way does it point, how large is it, which colour, which shape? Here the truth is known exactly, and
# the answers are independent again (`laya_nb.data.world`).

# %% tags=["hide-input"] mystnb={"image": {"alt": "Eight drawn scenes in a row, each with one to six coloured shapes, one of which has an outline.", "class": "photograph"}, "figure": {"caption": "Eight scenes, with the number of shapes.", "name": "fig-world"}}
drawn = world.scenes(8, seed=0)
figures.row_of_pictures(drawn.pictures.transpose(0, 2, 3, 1) / 255, [world.QUESTIONS["count"][i] for i in drawn.answers["count"]])

# %% [markdown]
# Independent does not mean that nothing simple gives an answer away. More shapes are more ink and more edges. How far do
# four plain numbers of a picture get, without any network?

# %%
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

def plain_numbers(pictures):
    """Mean, contrast, and mean absolute steps to the right and down."""
    grey = pictures.mean(axis=1) / 255
    return np.stack([grey.mean((1, 2)), grey.std((1, 2)), *(np.abs(np.diff(grey, axis=a)).mean((1, 2)) for a in (1, 2))], 1)

train, test = world.scenes(1000, seed=1), world.scenes(1000, seed=2)
for question in ("count", "size", "position"):
    guess = make_pipeline(StandardScaler(), LogisticRegression()).fit(plain_numbers(train.pictures), train.answers[question])
    score = guess.score(plain_numbers(test.pictures), test.answers[question])
    print(f"{question}: {score:.0%}, guessing {1 / len(world.QUESTIONS[question]):.0%}")

# %% [markdown]
# ## Prediction
#
# How a picture looks can be read early, what it shows late, and how many and where in between. If weights over layers say
# where an answer is, a head's weight should be largest on the tokens whose probes are best, and move with the question.
# ScalarMix and fusion should follow it more closely than LAYA, whose weights depend more on the seed
# ([stability](stability.ipynb)).
#
# ## Where the answers are

# %% tags=["hide-input"] mystnb={"image": {"alt": "Nine panels of accuracy by layer. Rendering is highest at layer 5, the others peak between layers 7 and 10 and fall towards the last. Fusion lies above all of them."}, "figure": {"caption": "Test accuracy of a linear probe of CLS and of AP at each layer, for nine questions, and of fusion.", "name": "fig-where"}}
kinds = list(dict.fromkeys(name.partition(":")[2].upper() for name in features.names(encoder)))
curves = {name: {kind: accuracy[q][i :: len(kinds)] for i, kind in enumerate(kinds)} for q, name in zip(questions, names)}
best_head = {name: 100 * np.mean([r.metrics["accuracy"] for r in found[f"{q}@{examples}", heads[-1]]]) for q, name in zip(questions, names)}
figures.single_layer_curves(curves, best_head, PROBES[heads[-1]].label, {name: task_names.chance(q) for q, name in zip(questions, names)})

# %%
best = [by_layer(row, np.max).argmax() + 1 for row in knows]
pd.DataFrame({"best layer": best, "its probe, %": [accuracy[q].mean(axis=1).max().round(1) for q in questions], "last layer, %": [accuracy[q].mean(axis=1)[of_layer[-1]].max().round(1) for q in questions]}, index=names)

# %% [markdown]
# How a picture looks is read best at layer 5, the rest at layers 7 to 10. No question is answered best by the last layer,
# and for *where* it knows 14 points less than layer 9. So here, other than in the small networks that this book trained,
# layers truly differ.
#
# ## Does the weight lie where the answer is?
#
# For every question and seed, the rank correlation over tokens of the mean weight with the accuracy of the token's own
# probe. 1: the best token gets the most, the worst the least; 0: no relation.

# %%
agreement = {h: np.array([[stats.spearmanr(weights[h][q, s], knows[q]).statistic for q in range(len(questions))] for s in range(len(seeds))]) for h in heads}
pd.DataFrame({PROBES[h].label: agreement[h].mean(axis=0).round(2) for h in heads}, index=names).T

# %%
for head in heads:
    print(f"{PROBES[head].label}: {estimate(agreement[head].mean(axis=1)):.2f}")

# %% [markdown]
# ScalarMix gives more weight to the tokens that know more: 0.77, 0.76 to 0.78. So does fusion, 0.66, 0.63 to 0.68, though
# not for every question: for rendering, where most layers are nearly perfect, hardly at all. LAYA's correlation is 0.35,
# 0.26 to 0.44: it is there, and it is small.
#
# ## Does the weight move with the question?
#
# A coarser test: at which depth does the weight lie on average, and at which depth does what single layers know? If
# attention follows the question, dots rise along the dotted line:

# %% tags=["hide-input"] mystnb={"image": {"alt": "Three scatter plots. For ScalarMix and fusion, the centre of the weights rises with the centre of what layers know, near the dotted line. For LAYA it rises too, with wide intervals."}, "figure": {"caption": "For each question, the centre of depth of the weights (mean over seeds with its 95 % interval) against that of what single layers know.", "name": "fig-depth"}}
readable = centre_of_depth(by_layer(knows, np.max))
centres = {h: centre_of_depth(by_layer(weights[h])) for h in heads}
figures.depth_of_weight(readable, {PROBES[h].label: c for h, c in centres.items()}, names, ["rendering", "how large"])

# %%
moves = {h: np.array([stats.pearsonr(readable, c).statistic for c in centres[h].T]) for h in heads} if len(questions) > 2 else {}
for head, values in moves.items():
    print(f"{PROBES[head].label}: correlation over questions {estimate(values):.2f}")

# %% [markdown]
# All three follow the question in this coarse sense. Rendering is early in all of them, size and shape are late. For LAYA
# the interval of a single question often spans several layers: on average it follows, a single run need not.
#
# ## One picture, two questions

# %% tags=["hide-input"] mystnb={"image": {"alt": "Eight small pictures; below each, six bars. Each bar has a single colour, the same below every picture: with LAYA, one layer gets all the weight whatever the picture, another one with another seed.", "class": "photograph"}, "figure": {"caption": "Eight pictures and LAYA's weights on them under two questions, three seeds each. A bar is divided by the weights of the layers, from the first (orange) to the last (blue).", "name": "fig-two"}}
laya = heads[1]
bars = {f"{task_names.title(q)}, seed {s}": by_layer(found[f"{q}@{examples}", laya][i].attention[:8]) for q in two for i, s in enumerate(seeds[:3])}
figures.same_images_many_questions(shown.permute(0, 2, 3, 1).numpy(), bars)

# %%
def between_and_within(head):
    """How far mean profiles lie apart (total variation): two questions of one seed, and two seeds of one question."""
    first, second = (by_layer(weights[head][questions.index(q)]) for q in two)
    seeds_apart = [np.abs(p[i] - p[j]).sum() / 2 for p in (first, second) for i in range(len(p)) for j in range(i)]
    return np.abs(first - second).sum(axis=1).mean() / 2, np.mean(seeds_apart)

pd.DataFrame({PROBES[h].label: between_and_within(h) for h in heads}, index=["two questions, one seed", "one question, two seeds"]).round(2)

# %% [markdown]
# LAYA's bars have one colour each: one layer gets all the weight, the same one for every picture. Its weights could differ
# from picture to picture, and here they do not. Asking another question moves all of the weight; but so does, in most
# cases, another seed. For ScalarMix the question moves a third of the weight, and the seed next to nothing.
#
# ## The paper's own transformer
#
# LAYA's paper shows, in its Figures 3 and 4, where attention goes for classes of style of paintings and for single
# paintings, with a frozen ViT-B/16 and one training. It gives no accuracies and no numbers. The same kind of map from
# our runs, for the rendering of a picture:

# %% tags=["hide-input"] mystnb={"image": {"alt": "Three heat maps of ten renderings by twelve layers. In both of LAYA, one column, layer 4, is dark in every row. In that of fusion all cells are pale."}, "figure": {"caption": "Mean weight of each layer by class of the second question: LAYA's in three seeds, and fusion's.", "name": "fig-style"}}
style = found[f"{two[1]}@{examples}", laya]
classes = tasks.task(two[1]).classes
by_class = {f"LAYA, seed {s}": r for s, r in zip(seeds, style[:2])} | {"Fusion, seed 0": found[f"{two[1]}@{examples}", heads[-1]][0]}
figures.class_heatmaps({name: (columns, by_layer(tables.class_profiles([r], len(classes))[0])) for name, r in by_class.items()}, classes, top=None)

# %% [markdown]
# In both seeds LAYA reads one layer for every class. A map like this looks like knowledge of styles only where rows differ.
#
# ## What we found

# %%
from laya_nb.report import findings
from laya_nb.report.findings.questions import findings_of, headline

findings.show(findings_of(agreement, moves), headline(agreement))

# %% [markdown]
# - Asked nine questions, a frozen ViT answers them best at layers 5 to 10, none at the last.
# - ScalarMix's and fusion's weights lie on the tokens whose probes are best: rank correlations 0.77 and 0.66.
# - LAYA's lie there a little, 0.35, on one layer at a time, which changes with the seed.
# - So attention over layers *can* find the informative layers. The simplest weights find them best.
#
# ## What this does not show
#
# - That the heads use what they weigh: weight is not effect. Removing layers would show that.
# - That a probe's accuracy is all that a layer is good for. A layer may add what others lack, and know little alone.
# - That LAYA must collapse onto one layer. A higher temperature, or a penalty on its scores, may keep it from that.
# - Anything about paintings: the paper's pictures and network are others.
#
# ## Exercises
#
# 1. Which question has its best layer earliest, and which latest?
# 2. Why does fusion's weight say so little about rendering?
# 3. Count only the twelve AP tokens. How would you change `agreement`?
#
# ```{dropdown} Solutions
# 1. Rendering, layer 5; shape and size, layer 10.
# 2. Layers 2 to 7 all know it nearly perfectly, so there is little to gain from weighing one more than another.
# 3. Take `weights[h][q, s][1::2]` and `knows[q][1::2]`: tokens come in pairs, CLS first.
# ```
#
# **To go further**, ask other questions: `questions` takes any task of `laya_nb.data.tasks`, and a set of pictures of your
# own becomes a task by one entry there.
#
# **Run time:** half a minute with the published runs. To train all anew takes about an hour on two cores.
