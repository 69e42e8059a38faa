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
# # Errors, strangers and confidence
#
# [![Open in Colab](_static/open_in_colab.svg)](https://colab.research.google.com/github/laya-nb/laya-nb/blob/main/book/errors_and_strangers.ipynb)
#
# **Question.** The paper hopes that attention shows when a prediction should not be trusted. Does it tell mistakes, inputs
# of a kind that the network has never seen, or wrong labels? And is the confidence of a network with LAYA honest?
#
# **Why it matters.** A network that knows when to ask a human is worth more than one that is right a little more often.
#
# **Answer.** Mistakes: the entropy of attention tells some, and nothing that the network's confidence does not tell already.
# Strangers: unusual attention is a better sign than confidence, shown on two of four networks, and hidden states are a better one
# still, for most kinds. And LAYA's confidence is further from its accuracy than the usual head's on three of five networks. One
# temperature mends that where we tried. How well entropy tells mistakes:

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

# %% tags=["parameters", "hide-input"] tiny={"networks": ["sample"], "meeting": [], "leaving_out": [], "relearning": [], "confident": ["sample"], "scaled": ["sample"], "published": [0, 1], "seeds": [0, 1], "max_epochs": 1} mystnb={"code_prompt_show": "Parameters", "code_prompt_hide": "Parameters"}
networks: list[str] = ["fashion_mnist", "eight_layers", "cifar10", "imdb"]  # or "sample"
meeting: list[str] = ["fashion_mnist", "eight_layers", "cifar10", "imdb"]  # which of them meet strangers
leaving_out: list[str] = ["fashion_mnist"]  # which are trained anew without two classes
relearning: list[str] = ["fashion_mnist"]  # and which on labels of which some are wrong
confident: list[str] = ["fashion_mnist", "eight_layers", "cifar10", "imdb", "frozen_transformer"]  # whose confidence is judged
scaled: list[str] = ["fashion_mnist", "eight_layers"]  # and is mended by a temperature
seeds: list[int] = [0, 1, 2, 3, 4]  # one of each network for each
published: list[int] = [0, 1, 2, 3, 4]  # the seeds whose confidence is compared, with either head
max_epochs: int = 50  # the longest training, in passes over the data
margin: float = 1.0  # hundredths of AUROC, and points of calibration error: less than this is too small to matter

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Load the measurements", "code_prompt_hide": "Load the measurements"}
from laya_nb.report import parameters

parameters.check(globals())

import numpy as np
import pandas as pd

from laya_nb import figures
from laya_nb.report import doubted, explanations, tables
from laya_nb.report.networks import NETWORKS, measured, runs_of
from laya_nb.runs import ResultStore, doubts, sweep

store = ResultStore()

def on(names, function, head="laya"):
    """A measurement of networks, a row for each run."""
    return measured({NETWORKS[name].title: runs_of(name, seeds, max_epochs, head) for name in names}, function, store)

mistakes = on(networks, doubts.errors)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Four networks, three estimates each. Among all inputs the AUROC of mistakes lies 0.06 to 0.14 above chance, among inputs of one predicted class 0.06 to 0.12, with wide intervals, widest for the recurrent network. Among inputs of like confidence it lies 0.01 to 0.02 above chance, and all of these intervals reach 0."}, "figure": {"caption": "How well the entropy of attention tells mistakes: the probability that a wrong answer has the higher entropy of two, less one half. Between all answers, between two of one predicted class, and between two of like confidence (one of fifty groups). Means and 95 % intervals over seeds.", "name": "fig-entropy-of-mistakes"}}
titles = [NETWORKS[name].title for name in networks]
figures.estimates_by_row(doubted.above_chance(mistakes, "attention entropy"), titles, "AUROC of mistakes, less 0.5")

# %% [markdown]
# On the image networks, mistakes have flatter weights than right answers of the same predicted class, as the paper hopes. On
# the recurrent network that is open. Among answers of like confidence next to nothing is left.
#
# ## What a score of doubt is worth
#
# A **score of doubt** says how little an answer is to be trusted. It need not be a probability; what counts is the order. If
# only the least doubtful answers are given, what share of them is wrong? That is the **risk**, and it depends on the
# **coverage**, the share of inputs that get an answer. Ten answers, three of them wrong, and two scores:

# %%
from laya_nb.analysis import selective

wrong = np.array([0, 0, 0, 0, 0, 1, 0, 1, 0, 1], dtype=bool)
scores = {"good": np.arange(10), "useless": np.zeros(10)}

def risks(doubt):
    """The share of wrong answers among the n least doubtful ones, n = 1..N."""
    return np.cumsum(wrong[np.argsort(doubt, kind="stable")]) / np.arange(1, len(doubt) + 1)

print("good:   ", risks(scores["good"]).round(2))
for name, doubt in scores.items():
    everyone = np.zeros(len(wrong), dtype=int)
    auroc = selective.auroc_given(doubt, wrong, everyone)
    print(f"{name:8s} AUROC {auroc:.2f}, AURC {selective.aurc(doubt, wrong):.3f}, AUGRC {selective.augrc(doubt, wrong):.3f}")

# %% [markdown]
# - **AUROC** is the probability that a wrong answer is more doubtful than a right one: 0.5 for a useless score, which gives
#   all answers the same doubt.
# - **AURC** {cite}`aurc` is the mean of the risks. A useless score has the risk of all answers, 0.3, at every coverage.
# - **AUGRC** {cite}`augrc` counts wrong answers that were given, as a share of *all* inputs. It does not let the few most
#   certain answers decide, and for a given accuracy it has the order of AUROC.
#
# A second score may tell mistakes only because it repeats the first. So we also ask what attention **adds** to the largest
# probability: a logistic model of mistakes reads smooth curves of one or of both, is fitted on one half of the test examples
# and judged on the other.
#
# ## Prediction
#
# Written after a look at one network for Fashion-MNIST and one for CIFAR-10, and before the runs on several seeds:
#
# - The largest probability tells mistakes best. The entropy of attention tells some on Fashion-MNIST, next to none among
#   answers of like confidence, and none on CIFAR-10.
# - Attention's distance, that is how unusual the weights are for the predicted class, tells strangers better than the largest
#   probability does, and worse than the hidden states of all layers do.
# - LAYA's confidence is further from its accuracy than that of the usual head, and one temperature mends both.
# - The loss finds wrong labels better than attention does.
#
# ## Measurement
#
# Scores of doubt: less the largest softmax probability (*max softmax*) {cite}`max_softmax`; less the margin between the two
# largest; the *energy* of the logits {cite}`energy`; the *entropy* of attention; and its *distance* from what is usual: the
# Mahalanobis distance, in the log-ratios of the weights, from the training examples that got the same class; so
# that classes with profiles of their own do not look doubtful as such.
#
# For strangers there are scores that read hidden states, too: the distance to the nearest class mean in the last layer
# {cite}`mahalanobis`, or in all layers, added up in units of their spread {cite}`layer_scores`; the distance to the fiftieth
# neighbour in the last layer {cite}`deep_neighbours`; and ViM, what a hidden state has outside of the space that training
# examples fill {cite}`vim`. The test suite compares all of them with those of the library pytorch-ood.
#
# Strangers to Fashion-MNIST are handwritten letters, noise, and its own test images in reversed contrast; to CIFAR-10 its own
# images in grey or reversed, noise, and garments in colour; to IMDB sentences from docstrings, which are also far shorter.
# The nearest strangers are two classes that a network trained on the other eight has never seen.
#
# ## Mistakes

# %%
explanations.numbers(mistakes, {f"{score}/auroc": score for score in doubts.DOUBTS}).T

# %% [markdown]
# The largest probability tells mistakes best, and the margin as well. The energy is behind them but on IMDB, where two
# classes make the three nearly one score. Attention's entropy and distance are far behind. If one in ten inputs may go without
# an answer, what is the accuracy on the others, in percent?

# %%
answered = {"accuracy": "all answers"} | {f"{score}/accuracy at 90": score for score in doubts.DOUBTS}
explanations.numbers(mistakes, answered, scale=100, digits=1).T

# %% [markdown]
# Leaving out the tenth with the lowest confidence raises the mean accuracy by 3.3 to 4.4 points. Leaving out that with the
# flattest attention raises it by 0.7 to 1.5 on the image networks, and lowers it a little on IMDB. The AUGRC says the same of
# all coverages, in percent, lower being better:

# %%
explanations.numbers(mistakes, {f"{score}/augrc": score for score in doubts.DOUBTS}, scale=100).T

# %% [markdown]
# Does attention add anything to the largest probability? Each network is a question of its own; p values are corrected for
# the two scores:

# %%
from laya_nb.report.findings.errors_and_strangers import RIVALS, against, findings_of, gains, headline

tables.comparison_table(gains(mistakes, margin), "hundredths of AUROC")

# %% [markdown]
# No: on every network, either score adds less than a hundredth of AUROC. What attention tells of mistakes, confidence tells,
# too.
#
# ## Strangers

# %% tags=["hide-input"] mystnb={"image": {"alt": "A table in colours, twelve rows of strangers by nine scores. On the networks for Fashion-MNIST all layers have 0.95 to 0.99 for letters, noise and reversed images, max softmax 0.44 to 0.78, attention distance 0.81 to 0.92. Classes that were left out: all scores between 0.57 and 0.72. On CIFAR-10 all layers have 1.00 for noise, 0.98 for garments, 0.73 reversed, 0.43 in grey. For docstrings neighbours have 0.88, max softmax 0.85, all layers 0.52, attention distance 0.57."}, "figure": {"caption": "How well nine scores tell strangers from test examples: AUROC, means over seeds. Below 0.5 strangers look more familiar than what the network was trained for.", "name": "fig-strangers"}}
met = doubted.with_left_out(on(meeting, doubts.strangeness), on(leaving_out, doubts.left_out))
figures.auroc_map(doubted.strangers(met)) if len(met) else None

# %% [markdown]
# Where strangers are far away, hidden states tell them nearly always, all layers together best. The largest probability can be
# worse than guessing: the three-layer network was more confident of noise than of garments with four of five seeds.
# Attention's distance lies between the two.
#
# Where strangers are near, no score gets far: neither for grey images, which look more usual to the hidden states than coloured
# ones, nor for classes that were left out. And for docstrings the distances to class means fail, while neighbours, and the
# logits themselves, do well. So no score is the best for all kinds.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Twelve kinds of strangers, two differences each, with 95 % intervals over five seeds, many of them wide. Attention distance less max softmax: mostly above 0, up to 42 hundredths; below 0 for reversed and grey images on CIFAR-10, for classes that were left out and for docstrings. Attention distance less all layers: mostly below 0, between -3 and -24, above 0 for grey images and docstrings."}, "figure": {"caption": "How much better attention's distance tells each kind of stranger than two other scores do. Means and 95 % intervals over seeds.", "name": "fig-distance-of-strangers"}}
kinds = {f"less {rival}": doubted.by_kind(met, "attention distance", rival) for rival in RIVALS} if len(met) else {}
rows = [f"{network}: {kind}" for network, kind in next(iter(kinds.values()), [])]
less = {rival: list(found.values()) for rival, found in kinds.items()}
figures.estimates_by_row(less, rows, "difference in AUROC, hundredths") if rows else None

# %% [markdown]
# As a mean over the kinds that a network met, p values corrected for the two rivals:

# %%
tables.comparison_table(against(met, margin), "hundredths of AUROC") if rows else None

# %% [markdown]
# On average over kinds, attention's distance is ahead of the largest probability on both networks for Fashion-MNIST, by 17 and
# 19 hundredths, and behind all layers on all three image networks, by 10 to 12. Whether it is ahead of the largest
# probability on CIFAR-10 is undecided, and on IMDB even the sign is open.
#
# A rate of false alarms is often quoted at 95 %, and it has two readings: 95 % of the strangers are flagged, or 95 % of the
# known inputs pass. Means over all kinds that a network met:

# %%
doubted.readings(met, ["max softmax", "all layers", "attention distance"]) if len(met) else None

# %% [markdown]
# Even all layers flag 10 to 46 % of the known images if they are to catch 95 % of the strangers. The second reading
# gives other numbers: whoever compares with the literature must know which one is meant.
#
# ## Is the confidence honest?
#
# Of answers that are given with 80 % confidence, 80 % should be right. A **reliability diagram** shows accuracy against
# confidence in fifteen bins; a line below the diagonal is overconfident:

# %% tags=["hide-input"] mystnb={"image": {"alt": "Five panels of accuracy against confidence for LAYA and the usual head. All lines lie below the diagonal, or on it. On Fashion-MNIST with three layers LAYA lies a little lower than the usual head, with eight layers the two cross; on CIFAR-10 the usual head lies on the diagonal and LAYA up to a tenth below; on IMDB the lines lie close together and close to the diagonal."}, "figure": {"caption": "Accuracy of answers against their confidence, test examples of all seeds together, in fifteen bins. The larger a dot, the more answers it stands for.", "name": "fig-reliability"}}
from laya_nb.analysis.calibration import reliability

heads = ("laya", "last_layer")

def found(name, head):
    """The published runs of a network with a head."""
    return sweep(runs_of(name, published, max_epochs, head), store)

def together(name, head):
    """The reliability of all runs' answers."""
    runs = found(name, head)
    confidence = np.concatenate([run.arrays["confidence"] for run in runs]).astype(float)
    return reliability(confidence.clip(0, 1), np.concatenate([run.correct for run in runs]))

figures.reliability({NETWORKS[name].title: {head: together(name, head) for head in heads} for name in confident})

# %% [markdown]
# The **calibration error** is the mean distance from the diagonal, weighted by how many answers a bin has: in fifteen bins of
# equal width, or with as many answers in each. In percent, of the published runs:

# %%
from laya_nb.heads import HEAD_LABELS

as_it_is = {head: pd.concat([doubted.calibration_of(NETWORKS[name].title, found(name, head)) for name in confident]) for head in heads}
both = {"ece": "equal width", "ece_equal_mass": "equal mass", "overconfidence": "confidence - accuracy"}
doubted.by_head({HEAD_LABELS[head]: of for head, of in as_it_is.items()}, both, scale=100, digits=1)

# %%
calibrated = doubted.two_heads(*as_it_is.values(), "ece", margin, scale=100)
tables.comparison_table(calibrated)

# %% [markdown]
# Confidence is mostly too high, and LAYA's more so on three networks: by 1.4 points on Fashion-MNIST, 5.7 on CIFAR-10 and 1.8 on
# the frozen transformer. On the other two it is undecided.
#
# Often one number mends it. In temperature scaling all logits are divided by a temperature, which is chosen for the lowest
# log-loss on other examples {cite}`calibration`. Here one half of the test part chooses it, and the other is judged. The
# calibration error before and after, and then two scores that judge all probabilities, not only the largest, the log-loss and
# the Brier score:

# %%
mended = {HEAD_LABELS[head]: on(scaled, doubts.confidence, head) for head in heads}
errors_of = {"as it is/ece": "error, %", "scaled/ece": "error, scaled, %"}
temperature = doubted.by_head(mended, {"scaled/temperature": "temperature"})
pd.concat([doubted.by_head(mended, errors_of, scale=100, digits=1), temperature], axis=1)

# %%
scores_of = {"as it is/log_loss": "log-loss", "scaled/log_loss": "scaled", "as it is/brier": "Brier", "scaled/brier": "Brier, scaled"}
doubted.by_head(mended, scores_of, digits=3)

# %% [markdown]
# After scaling, the error is about one point for either head, on both networks where we tried, and in the other two scores
# no difference between the heads shows: their intervals overlap.
#
# ## Labels that are wrong
#
# Of a network's training labels 5 % were flipped before it was trained anew, on all examples, for twelve epochs. What share
# of the 5 % most suspicious examples has a flipped label? A score that knows nothing finds 5 %.

# %%
suspicions = ("loss", "max softmax", "attention entropy", "attention distance")
flawed = on(relearning, doubts.mislabelled)
explanations.numbers(flawed, {f"{score}/found": score for score in suspicions}, scale=100, digits=0) if relearning else None

# %% [markdown]
# The loss finds three of four flipped labels. The distance of an image's attention from what is usual in the class that its
# label names finds half of them, 46 to 61 %. Their entropy knows nothing of labels.
#
# ## Ask a network of yours
#
# The measurements take any `DepthClassifier` with a head that gives weights, and a data set, that of
# [bring your own](bring_your_own.ipynb) included:
#
# ```python
# from laya_nb.runs.doubts import confidence, errors, judge_strangers
#
# errors(model, dataset)                                 # how well scores of doubt find mistakes
# confidence(model, dataset)                             # calibration, as it is and scaled
# judge_strangers(model, dataset, {"mine": my_inputs})   # how well scores tell your strangers
# ```
#
# `laya_nb.analysis.selective`, `.detection` and `.calibration` take plain arrays of any classifier, without a model.
#
# ## What we found

# %%
from laya_nb.report import findings

findings.show(findings_of(mistakes, met, calibrated, margin), headline(mistakes, met, margin))

# %% [markdown]
# - Mistakes: attention tells nothing, to within a hundredth of AUROC, that confidence does not tell.
# - Strangers: attention's distance is ahead of confidence on the two networks for Fashion-MNIST, and behind the hidden states of
#   all layers on the three image networks. No score is the best for all kinds, and near strangers are told by none.
# - Confidence: LAYA is further from honest than the usual head on three of five networks. One temperature
#   mended either on the two where we tried.
# - Wrong labels: use the loss.
#
# **Against our prediction:** on CIFAR-10 the entropy does tell mistakes, though none that confidence does not; and all layers
# do not tell every kind of stranger better than the largest probability. What was predicted of attention's distance is shown on
# the two networks for Fashion-MNIST, and LAYA's overconfidence on three of five.
#
# ## What this does not show
#
# - Large networks, and data sets with mistakes that matter. These have two to eight layers.
# - Strangers that were chosen to deceive. Ours are far away, but for the classes that were left out.
# - Other scores of attention. We tried the two that suggest themselves; a classifier of mistakes that is trained on weights,
#   logits and hidden states may find more.
# - What a better calibrated training would give. All networks were trained by the same rules, without label smoothing.
#
# ## Exercises
#
# 1. A network is right in 90 of 100 cases. What is the lowest AURC that a score of doubt can reach?
# 2. Why can the AUROC of a score be high on all answers together, and 0.5 within each predicted class?
# 3. A temperature changes all confidences, but not the AUROC of mistakes of a network with two classes. Why?
#
# ```{dropdown} Solutions
# 1. With all mistakes last, the risk is 0 up to n = 90, and $(n - 90)/n$ beyond it: `aurc(wrong, wrong)` of
#    `laya_nb.analysis.selective` for 90 zeros and 10 ones gives 0.0057.
# 2. The score may only know which class was predicted. Classes differ in how often they are wrong, so a score that is the
#    same for all inputs of a class tells mistakes, but no two answers of one class apart.
# 3. With two classes, confidence is a rising function of the distance between the logits, and so is it after all logits were
#    divided by the same number. The order stays. With more classes the order can change.
# ```
#
# **To go further**, put a score of your own beside them: `selective.gain_given(doubt, known, wrong)` says what it adds.
#
# **Run time:** seconds with the published measurements. To train the networks takes about three hours on two cores, to
# measure one of them between ten seconds and ten minutes.
