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
# # What to use when
#
# [![Open in Colab](_static/open_in_colab.svg)](https://colab.research.google.com/github/laya-nb/laya-nb/blob/main/book/conclusion.ipynb)
#
# **Question.** After all these measurements: should you use LAYA, and what may you read from its weights?
#
# **Answer.** So far as we measured, and no further:

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
from laya_nb.report import findings

questions = {
    "You train a network and its head together, as in Fashion-MNIST. Will LAYA be more accurate?":
        ("fashion_mnist", "LAYA - LastLayer"),
    "The network is convolutional, as in CIFAR-10?": ("cifar10", "LAYA - LastLayer"),
    "It is recurrent and reads text, as in IMDB?": ("imdb", "LAYA - LastLayer"),
    "Your network is frozen. Is LAYA better than its last layer?": ("frozen_transformer", "LAYA - h6"),
    "Is it better than its best layer, found with a probe of each?": ("frozen_transformer", "LAYA - h5"),
    "Is it better than an equal mix of all layers?": ("frozen_transformer", "LAYA - equal weights"),
    "Your frozen network sees. Is it worth reading all layers with attention?": ("fusion", "Fusion - the last layer"),
    "Is that better than ScalarMix, which has one weight for all images?": ("fusion", "Fusion - ScalarMix"),
    "Is it better than attention over all tokens of the last layer?":
        ("fusion", "Fusion - all tokens of the last layer"),
    "A frozen text transformer: is a layer before the last better than it?":
        ("layer_by_layer", "MiniLM: best layer - last"),
    "No labels: does a measure choose a better layer than the last?": ("choosing_a_layer", "InfoNCE - last layer"),
    "A few labels: does a cross-validation on 50 of them?": ("choosing_a_layer", "50 labels - last layer"),
    "Or should one probe read all layers?": ("choosing_a_layer", "all layers, one probe - last layer"),
    "Do the weights lie on the layers that know the answer?": ("questions", "LAYA: weight and knowledge"),
    "How much of a class profile would another seed repeat?":
        ("stability", "class profile common to all runs"),
    "Does a clear profile show that layers differ?": ("redundancy", "entropy on three copies of a layer"),
    "May you read from the weights which classes the network treats alike?":
        ("stability", "which classes are alike, in two runs"),
    "Does attention ignore a layer that knows nothing?": ("redundancy", "weight of noise"),
    "Is it an explanation: do weights tell which layers a prediction rests on, better than the mean weights?":
        ("faithfulness", "Fashion-MNIST, 8 layers: weights - constant"),
    "And better than the mean weights of the predicted class?":
        ("faithfulness", "Fashion-MNIST, 8 layers: weights - class mean"),
    "Can it prune: is attention's order better than a random one, for a network as it is?":
        ("pruning", "Fashion-MNIST, 8 layers, as it is: attention - random"),
    "And with a new head on the layers that are left?":
        ("pruning", "Fashion-MNIST, 8 layers, new head: attention - random"),
    "Early exit: does leaving when an exit is certain save more than leaving at random?":
        ("early_exit", "IMDB, frozen MiniLM: confidence - at random"),
    "And leaving when an exit's attention is sharp?":
        ("early_exit", "IMDB, frozen MiniLM: attention entropy - at random"),
    "Error detection: does the entropy of attention tell mistakes that confidence does not?":
        ("errors_and_strangers", "Fashion-MNIST, MLP: attention entropy"),
    "Does unusual attention tell strange inputs better than confidence?":
        ("errors_and_strangers", "strangers: attention distance - max softmax"),
    "And better than the hidden states of all layers?":
        ("errors_and_strangers", "strangers: attention distance - all layers"),
}
findings.in_plain_words(questions)

# %% [markdown]
# ## Our advice
#
# - **You train the network yourself.** Read the last layer. In three benchmarks we found no gain from reading more, and one
#   loss ([Fashion-MNIST](fashion_mnist.ipynb), [CIFAR-10](cifar10.ipynb), [IMDB](imdb.ipynb)).
# - **Your network is frozen.** Do not trust its last layer: on two of four networks a layer before it was ahead, by 7 and 10
#   points ([layer by layer](layer_by_layer.ipynb)). Better not choose: one linear probe of all layers, or a mix of them with fixed
#   weights, was ahead of the last layer on texts and images, and attention over layers was not shown to be better
#   ([a frozen transformer](frozen_transformer.ipynb), [attentive layer fusion](fusion.ipynb)). If it must be one layer: the
#   one with the least InfoNCE without labels, a cross-validated probe with 250 or more
#   ([choosing a layer](choosing_a_layer.ipynb)). Where a question is about *where* things are, read all tokens.
# - **You want to explain a prediction by layers.** Train several seeds before you believe a profile, and report how far they
#   agree ([stability](stability.ipynb)). Check with copies of a layer what a sharp profile is worth
#   ([redundancy](redundancy.ipynb)). Read the contribution $\alpha_i W z_i$ in place of the weight, and do not expect to learn
#   more of an input than of its class ([faithfulness](faithfulness.ipynb)).
# - **You want a smaller network.** Fit a head to each layer and cut behind the first that is good enough. Attention says
#   which taps a head does not read; with a new head most can go, in any order, unless one layer alone knows the answer
#   ([pruning](pruning.ipynb)).
# - **You want to stop early.** Give the network a few heads on its first layers, and leave where one is confident, with a
#   threshold from held-out examples. On a frozen transformer that saved two thirds of the work; on a network that you can
#   train, try fewer layers first. Attention does not tell when to leave ([early exit](early_exit.ipynb)).
# - **You want to spot mistakes or strange inputs.** For mistakes use the network's confidence: attention adds nothing that we
#   could show. For inputs of a strange kind use the hidden states of all layers, which told most kinds best, but not all
#   ([errors, strangers and confidence](errors_and_strangers.ipynb)).
# - **You need honest confidence.** Try one temperature for the logits: on two networks it brought either head to one point.
#   LAYA's confidence is further from its accuracy than the usual head's on three of five networks
#   ([the same chapter](errors_and_strangers.ipynb#is-the-confidence-honest)).
# - **You use LAYA all the same.** Try narrow adapters first ([adapter capacity](adapter_capacity.ipynb)). Choose the
#   temperature for the reader of the weights: accuracy gives no reason to prefer one ([temperature](temperature.ipynb)).
#   And before you report the best of many settings, find out how good luck would make it.
#
# ## Limits
#
# The networks are small, the data sets few and well known, and the seeds five to twenty. Half a point of accuracy
# is our choice of what matters. Where a chapter says *undecided*, more seeds may decide. The frozen networks are four,
# all small.
#
# ## What is open
#
# - **Early exit of larger networks.** The one where it pays here, a frozen transformer, has six layers.
# - **Larger frozen networks**, for vision and language. Ours have 6 to 12 blocks.
#
# [All findings](findings.ipynb) stand on a page of their own. [Bring your own](bring_your_own.ipynb) shows how to ask a
# network of yours.
