# %% [markdown]
# # Depth follows the question: does attention?
#
# [![Open in Colab](_static/open_in_colab.svg)](https://colab.research.google.com/github/laya-nb/laya-nb/blob/main/book/questions.ipynb)
#
# **Question.** Different questions about one image are answered at different depths of a network. Do LAYA, ScalarMix and
# attentive layer fusion put their weights where the answer is?
#
# **Why it matters.** It is what weights over layers are said to show. A network that is trained together with its head can
# put the answer into any layer, so there is no truth to compare with. A frozen network, asked many questions, has one.
#
# **Answer.** ScalarMix and fusion do: tokens that know more get more weight. LAYA's weight follows the depth of the answer
# too, but lands mostly on a single layer, and on which one depends on the seed:

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
seeds: list[int] = [0, 1, 2, 3, 4]  # one training of each head and question
two: list[str] = ["pictures/class", "pictures/rendering"]  # of those above, about the same pictures
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
heads = ["scalar_mix", "laya_low_rate", "fusion"]
labels = {head: PROBES[head].label for head in heads}
found = benchmark(datasets, heads, encoder, seeds, protocol)
single = single_layers(datasets, encoder, seeds, protocol)
names = [task_names.title(question) for question in questions]
of_layer = [[int(state[1:]) - 1 for state in of] for of in layers(encoder)]  # the tokens of each layer
chances = [task_names.chance(question) for question in questions]
tokens = [f"h{token + 1}" for of in of_layer for token in of]
probed = [[[r.metrics["accuracy"] for r in single[dataset, token]] for token in tokens] for dataset in datasets]
accuracy = 100 * np.array(probed)  # questions x tokens x seeds
knows = np.stack([above_chance(a.mean(axis=1), chance) for a, chance in zip(accuracy, chances)])  # questions x tokens
weights = {  # questions x seeds x tokens
    head: np.stack([[r.attention.mean(axis=0) for r in found[dataset, head]] for dataset in datasets]) for head in heads
}

def by_layer(values, how=np.sum):
    """Tokens (..., T) to layers (..., L)."""
    return np.stack([how(values[..., of], axis=-1) for of in of_layer], axis=-1)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Four heat maps of nine questions by twelve layers. What a probe knows is largest at layers 7 to 10 for most questions, for how it looks at 3 to 6. The weights of ScalarMix and of fusion are largest about there. LAYA has single dark cells, scattered."}, "figure": {"caption": "Nine questions about images, twelve layers of a frozen ViT. Top left: how much of the way from guessing to all right a linear probe of the layer gets (the better of CLS and AP). The others: the weight that each head gives to the layer (CLS and AP together), mean over pictures and seeds. Every row is divided by its largest value.", "name": "fig-questions"}}
maps = {"What a probe knows": by_layer(knows, np.max)}
maps |= {f"Weight of {labels[head]}": by_layer(weights[head].mean(axis=1)) for head in heads}
maps = {title: values / values.max(axis=1, keepdims=True) for title, values in maps.items()}
depth = len(of_layer)
columns = [str(i + 1) if i in (0, depth // 2 - 1, depth - 1) else "" for i in range(depth)]
panels = {title: (columns, values) for title, values in maps.items()}
figures.class_heatmaps(panels, names, across=2, label="share of the row's largest value")

# %% [markdown]
# ## The same pictures, many questions
#
# Two sets of pictures, both read by the ViT-S/14 of [the last chapter](fusion.ipynb), in the same way: CLS and AP of twelve
# places in the network, one linear probe for each of the 24 tokens, and heads that weigh all of them.
#
# **Photographs, changed.** Pictures of CIFAR-10 (a JPEG copy), turned by a random number of quarter turns and then shown
# in one of ten renderings: blurred, noisy, in few colours, as edges, and so on. What does it show? How does it look? Which
# way up is it? All three answers are drawn independently.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Eight small photographs in a row, each turned and in a rendering of its own.", "class": "photograph"}, "figure": {"caption": "The first eight test pictures, and their renderings.", "name": "fig-pictures"}}
shown = tasks.sample()
pictures = shown.permute(0, 2, 3, 1).numpy()
answers = found[f"{two[1]}@{examples}", heads[0]][0].arrays["label"][:8]
figures.row_of_pictures(pictures, [tasks.task(two[1]).classes[answer] for answer in answers])

# %% [markdown]
# **A drawn world.** Scenes of one to six shapes, of which one is marked by an outline. How many shapes? And the marked one:
# where is it, which way does it point, how large is it, which colour, which shape? Here the truth is known exactly, and
# the answers are independent again (`laya_nb.data.world`).

# %% tags=["hide-input"] mystnb={"image": {"alt": "Eight drawn scenes in a row, each with one to six coloured shapes, one of which has an outline.", "class": "photograph"}, "figure": {"caption": "Eight scenes, with the number of shapes.", "name": "fig-world"}}
drawn = world.scenes(8, seed=0)
count = [world.QUESTIONS["count"][answer] for answer in drawn.answers["count"]]
figures.row_of_pictures(drawn.pictures.transpose(0, 2, 3, 1) / 255, count)

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
    steps = [np.abs(np.diff(grey, axis=axis)).mean((1, 2)) for axis in (1, 2)]
    return np.stack([grey.mean((1, 2)), grey.std((1, 2)), *steps], axis=1)

train, test = world.scenes(1000, seed=1), world.scenes(1000, seed=2)
for question in ("count", "size", "position"):
    guess = make_pipeline(StandardScaler(), LogisticRegression())
    guess.fit(plain_numbers(train.pictures), train.answers[question])
    score = guess.score(plain_numbers(test.pictures), test.answers[question])
    print(f"{question}: {score:.0%}, guessing {1 / len(world.QUESTIONS[question]):.0%}")

# %% [markdown]
# Count and size are given away in part, place is not.
#
# ## Prediction
#
# How a picture looks can be read early, what it shows late, and how many and where in between. If weights over layers say
# where an answer is, a head's weight should be largest on the tokens whose probes are best, and move with the question.
# ScalarMix and fusion should follow it more closely than LAYA, whose weights depend more on the seed
# ([stability](stability.ipynb)).
#
# ## Where the answers are

# %% tags=["hide-input"] mystnb={"image": {"alt": "Nine panels of accuracy by layer. How it looks is highest at layer 5, the others peak between layers 7 and 10 and fall towards the last. Fusion lies above all of them."}, "figure": {"caption": "Test accuracy of a linear probe of CLS and of AP at each layer, for nine questions, and of fusion.", "name": "fig-where"}}
kinds = list(dict.fromkeys(name.partition(":")[2].upper() for name in features.names(encoder)))
curves = {name: {kind: of[i :: len(kinds)] for i, kind in enumerate(kinds)} for name, of in zip(names, accuracy)}
fusion = [100 * np.mean([r.metrics["accuracy"] for r in found[dataset, "fusion"]]) for dataset in datasets]
figures.single_layer_curves(curves, dict(zip(names, fusion)), "Fusion", dict(zip(names, chances)))

# %%
best = [by_layer(row, np.max).argmax() + 1 for row in knows]
means = accuracy.mean(axis=2).round(1)
columns_of = {"best layer": best, "its probe, %": means.max(axis=1), "last layer, %": means[:, of_layer[-1]].max(axis=1)}
pd.DataFrame(columns_of, index=names)

# %% [markdown]
# How a picture looks is read best at layer 5, the rest at layers 7 to 10. No question is answered best by the last layer,
# and for *where* its probe is right 14 points less often than that of layer 9. Here layers truly differ.
#
# ## Does the weight lie where the answer is?
#
# For every question and seed, the rank correlation over tokens of the mean weight with the accuracy of the token's own
# probe. 1: the best token gets the most, the worst the least; 0: no relation.

# %%
def correlations(of):
    """Seeds by questions, for weights of questions by seeds by tokens."""
    return np.array([[stats.spearmanr(w, known).statistic for w in seeds] for seeds, known in zip(of, knows)]).T

agreement = {head: correlations(weights[head]) for head in heads}
pd.DataFrame({labels[head]: agreement[head].mean(axis=0).round(2) for head in heads}, index=names).T

# %%
for head in heads:
    print(f"{labels[head]}: {estimate(agreement[head].mean(axis=1)):.2f}")

# %% [markdown]
# ScalarMix gives more weight to the tokens that know more: 0.77, 0.76 to 0.78. So does fusion, 0.66, 0.63 to 0.68, though
# hardly for how it looks and which way up, where many tokens know nearly as much as the best. LAYA's correlation is 0.35,
# 0.26 to 0.44: it is there, and it is small.
#
# Choose a question and a layer. The bars show the better of the layer's two probes and the weight of both tokens together;
# marks are single seeds:

# %% tags=["hide-input"]
better = by_layer(means, np.max)
figures.explore_layers(better, {labels[head]: by_layer(weights[head]) for head in heads}, names)

# %% [markdown]
# Three questions to compare: *how it looks*, which early layers know; *where*, which the last layer tells less well than
# layer 9; and *which way up*, where many layers know nearly the same. LAYA's marks lie far apart: its seeds differ.
#
# ## Does the weight move with the question?
#
# A coarser test: at which depth does the weight lie on average, and at which depth does what single layers know? If
# attention follows the question, dots rise along the dotted line:

# %% tags=["hide-input"] mystnb={"image": {"alt": "Three scatter plots. For ScalarMix and fusion, the centre of the weights rises with the centre of what layers know, near the dotted line. For LAYA it rises too, with wide intervals."}, "figure": {"caption": "For each question, the centre of depth of the weights (mean over seeds with its 95 % interval) against that of what single layers know.", "name": "fig-depth"}}
readable = centre_of_depth(by_layer(knows, np.max))
centres = {h: centre_of_depth(by_layer(weights[h])) for h in heads}
figures.depth_of_weight(readable, {labels[h]: c for h, c in centres.items()}, names, ["how it looks", "how large"])

# %%
moves = {}
if len(questions) > 2:
    moves = {h: np.array([stats.pearsonr(readable, c).statistic for c in centres[h].T]) for h in heads}
for head, values in moves.items():
    print(f"{labels[head]}: correlation over questions {estimate(values):.2f}")

# %% [markdown]
# All three follow the question in this coarse sense. For ScalarMix and LAYA how it looks is the earliest of all. For LAYA
# the interval of a single question often spans several layers: on average it follows, a single run need not.
#
# ## One picture, two questions

# %% tags=["hide-input"] mystnb={"image": {"alt": "Eight small pictures; below each, six bars. Each bar has a single colour, the same below every picture: with LAYA, one layer gets all the weight whatever the picture, another one with another seed.", "class": "photograph"}, "figure": {"caption": "Eight pictures and LAYA's weights on them under two questions, three seeds each. A bar is divided by the weights of the layers, from the first (orange) to the last (blue).", "name": "fig-two"}}
laya = "laya_low_rate"
bars = {
    f"{task_names.title(question)}, seed {result.run['seed']}": by_layer(result.attention[:8])
    for question in two
    for result in found[f"{question}@{examples}", laya][:3]
}
figures.same_images(pictures, bars)

# %%
def between_and_within(head):
    """How far mean profiles lie apart (total variation): two questions of one seed, and two seeds of one question."""
    first, second = (by_layer(weights[head][questions.index(q)]) for q in two)
    seeds_apart = [np.abs(p[i] - p[j]).sum() / 2 for p in (first, second) for i in range(len(p)) for j in range(i)]
    return np.abs(first - second).sum(axis=1).mean() / 2, np.mean(seeds_apart)

index = ["two questions, one seed", "one question, two seeds"]
pd.DataFrame({labels[head]: between_and_within(head) for head in heads}, index=index).round(2)

# %%
def one_layer(result):
    """The share of the test pictures whose most attended layer is the one that most pictures have."""
    return np.bincount(by_layer(result.attention).argmax(axis=1)).max() / len(result.attention)

for head in ("laya_low_rate", "fusion"):
    shares = {name: np.mean([one_layer(r) for r in found[d, head]]) for name, d in zip(names, datasets)}
    print(f"{labels[head]}:", ", ".join(f"{name} {share:.0%}" for name, share in shares.items()))

# %% [markdown]
# LAYA's bars have one colour each: one layer gets all the weight, the same one for every picture. So it is for four of the
# nine questions: weights could differ from picture to picture, and do not. Asking another question moves all of the
# weight; another seed moves 0.8 of it. For ScalarMix the question moves a third, and the seed next to nothing.
#
# ## The paper's own transformer
#
# LAYA's paper shows, in its Figures 3 and 4, where attention goes for classes of style of paintings and for single
# paintings, with a frozen ViT-B/16 and one training. It gives no accuracies and no numbers. The same kind of map from
# our runs, for how a picture looks:

# %% tags=["hide-input"] mystnb={"image": {"alt": "Three heat maps of ten renderings by twelve layers. In both of LAYA, one column, layer 4, is dark in every row. In that of fusion all cells are pale."}, "figure": {"caption": "Mean weight of each layer by class of the second question: LAYA's in two seeds, and fusion's.", "name": "fig-style"}}
style = found[f"{two[1]}@{examples}", laya]
classes = tasks.task(two[1]).classes
by_class = {f"LAYA, seed {seed}": result for seed, result in zip(seeds, style[:2])}
by_class[f"Fusion, seed {seeds[0]}"] = found[f"{two[1]}@{examples}", "fusion"][0]
profiles = {name: by_layer(tables.class_profiles([result], len(classes))[0]) for name, result in by_class.items()}
figures.class_heatmaps({name: (columns, profile) for name, profile in profiles.items()}, classes)

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
# - LAYA's lie there a little, 0.35, mostly on one layer at a time, which changes with the seed.
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
# 2. Why may fusion's weight say so little about how a picture looks?
# 3. Count only the twelve AP tokens. How would you change `agreement`?
#
# ```{dropdown} Solutions
# 1. How it looks, layer 5; shape and size, layer 10.
# 2. Layers 2 to 7 all know it nearly perfectly, so there is little to gain from weighing one more than another.
# 3. Take `weights[h][q, s][1::2]` and `knows[q][1::2]`: tokens come in pairs, CLS first.
# ```
#
# **To go further**, ask other questions: `questions` takes any task of `laya_nb.data.tasks`, and a set of pictures of your
# own becomes a task by one entry there.
#
# **Run time:** half a minute with the published runs. To train all anew takes about an hour on two cores.
