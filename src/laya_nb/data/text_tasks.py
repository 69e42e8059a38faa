"""Questions about texts, from what they say to how they are built: a catalog of tasks, as `tasks` is for pictures.

On plain sentences of IMDB's reviews (`review_sentences`):

    question            question or statement? The mark at the end is taken away
    number              is there a number in digits?
    tense               is the main verb in the present or in the past? See `main_verb_tense`
    bigram_shift        have two neighbouring words changed places? Neither is the first or the last
    odd_word            has one word been replaced by another that is as frequent?
    length              how many words? The first 6 to 20 of a longer sentence, in three classes
    place               is it the first or the last sentence of its review?

On sentences of the documentation of installed libraries (`documentation`), which need no file:

    library             from which of seven libraries? Words that name them or their main objects are left out
    kind                does it describe a function, a class or a module? No methods
    docs_number, docs_bigram_shift, docs_length: the questions above

The data sets "imdb" (sentiment) and "docstrings" (two libraries) ask two more.

Classes are balanced: of any first n texts, two classes differ in number by at most one. But for `length`, they have the
same lengths, too: for every text of one class there is one of each other class with as many words. No text is in both
parts or in two classes. Nothing is drawn at random: checksums of the texts decide which are taken, which are changed,
and where. A larger number of examples begins with the same texts.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache, partial
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from laya_nb.data import documentation, imdb, review_sentences, tokens
from laya_nb.data.dataset import Dataset, Part
from laya_nb.data.world import balanced
from laya_nb.support.checks import check_choice, check_integer
from laya_nb.support.seeds import numpy_generator

PARTS: tuple[Part, ...] = ("train", "test")
CHANGED_FROM = 10_000  # sentences, the first of a part, of which some are changed: more than a task needs
LENGTHS = ((6, 10), (11, 15), (16, 20))  # words
RANKS = 100, 5000  # of words that `odd_word` replaces: none is grammar's, and all are well known
NEAR = 0.8, 1.25  # a replacement's rank, in units of the replaced word's

_LIBRARY_WORDS = re.compile(
    r"\S*(numpy|\bnp\b|array|scipy|scikit|sklearn|estimator|pandas|\bpd\b|dataframe|series|matplotlib|\bmpl\b|pyplot"
    r"|\baxes\b|\bartist|figure|torch|tensor|statsmodels)\S*",
    re.IGNORECASE,
)
_PAIRS = """
    am/was is/was are/were isn't/wasn't aren't/weren't do/did does/did don't/didn't doesn't/didn't
    go/went goes/went come/came comes/came say/said says/said make/made makes/made take/took takes/took give/gave
    gives/gave get/got gets/got know/knew knows/knew think/thought thinks/thought see/saw sees/saw find/found
    finds/found feel/felt feels/felt tell/told tells/told become/became becomes/became begin/began begins/began
    leave/left leaves/left keep/kept keeps/kept lose/lost loses/lost play/played plays/played look/looked looks/looked
    seem/seemed seems/seemed love/loved loves/loved like/liked likes/liked want/wanted wants/wanted try/tried
    tries/tried need/needed needs/needed work/worked works/worked turn/turned turns/turned start/started starts/started
    enjoy/enjoyed enjoys/enjoyed hate/hated hates/hated lack/lacked lacks/lacked manage/managed manages/managed
    deserve/deserved deserves/deserved believe/believed believes/believed remember/remembered remembers/remembered
    hope/hoped hopes/hoped expect/expected expects/expected wonder/wondered wonders/wondered happen/happened
    happens/happened show/showed shows/showed meet/met meets/met decide/decided decides/decided
"""
_TENSE = {
    verb: tense for pair in _PAIRS.split() for verb, tense in zip(pair.split("/"), ("present", "past"), strict=True)
}
_SUBJECT_AND_VERB = re.compile(
    r"(?:I|He|She|It|They|We|You|This|That|There|(?:The|This|That|These|Those|His|Her|My|Its|Their) (?!\w+ly )[a-z]+) "
    r"(?:(?:really|also|just|never|still|even|always|actually|simply|only) )?([a-z]+(?:'t)?)\b.*"
)


@dataclass(frozen=True)
class Task:
    """A question about texts.

    `texts` gives a part's texts by class, and `source` says where they come from. Where `same_lengths`, only so many
    are taken that the classes do not differ in their numbers of words.
    """

    name: str
    classes: tuple[str, ...]
    texts: Callable[[Part], Sequence[Sequence[str]]]
    source: Callable[[], str]
    same_lengths: bool = True


def task(name: str) -> Task:
    """The task of that name; the ValueError for an unknown one has the nearest known names."""
    if name not in TASKS:
        nearest = get_close_matches(str(name), TASKS, cutoff=0.4) or list(TASKS)
        raise ValueError(f"unknown task {name!r}; nearest: {', '.join(map(repr, nearest))}")
    return TASKS[name]


def load(name: str, examples: int = 2000) -> Dataset:
    """A task's training and test part, `examples` texts each, encoded as `imdb` is, with a vocabulary of their own.

    Raises:
        ValueError: for an unknown task, fewer examples than classes or more than there are.
        DataError: where the reviews cannot be had, or a library is not installed.
    """
    question = task(name)
    train, test = (texts(name, part, examples) for part in PARTS)
    arrays = tokens.encode((train[0], train[1].numpy()), (test[0], test[1].numpy()))
    return Dataset(name, question.source(), question.classes, *tokens.examples(arrays))


def texts(name: str, part: Part, examples: int = 2000) -> tuple[list[str], Tensor]:
    """The texts of a part and their labels (N,), in the order of `load`. Raises as `load`."""
    question = task(name)
    check_choice("part", part, PARTS)
    check_integer(f"examples of {name!r}", examples, minimum=len(question.classes))
    groups = _groups(name, part, os.environ.get("LAYA_NB_DATA"))
    if examples > (most := len(groups) * len(question.classes)):
        raise ValueError(
            f"examples must be at most {most} in the {part} part of {name!r}, for balanced classes, got {examples}"
        )
    wanted = balanced(examples, len(question.classes), numpy_generator(0, f"{name}, {part}, class"))
    found = [groups[i // len(question.classes)][label] for i, label in enumerate(wanted)]
    return found, torch.from_numpy(wanted)


@lru_cache(maxsize=8)
def _groups(name: str, part: Part, _folder: str | None) -> list[tuple[str, ...]]:
    """Texts in groups that have one of each class."""
    by_class = _by_class(name, part, _folder)
    classes_of = Counter(text for found in by_class for text in found)
    in_training = (
        {text for found in _by_class(name, "train", _folder) for text in found} if part == "test" else set[str]()
    )
    by_length: list[dict[int, list[str]]] = [{} for _ in by_class]
    for found, lengths in zip(by_class, by_length, strict=True):
        for text in found:
            if classes_of[text] == 1 and text not in in_training:
                lengths.setdefault(len(text.split()) if TASKS[name].same_lengths else 0, []).append(text)
    groups = (
        group for length in by_length[0] for group in zip(*(found.get(length, ()) for found in by_length), strict=False)
    )
    return sorted(groups, key=lambda group: tokens.checksum("\n".join(group)))


@lru_cache(maxsize=2)
def _by_class(name: str, part: Part, _folder: str | None) -> list[list[str]]:
    """What the task gives, each text of a class once."""
    return [list(dict.fromkeys(found)) for found in TASKS[name].texts(part)]


# --- the questions: a part's texts by class, in the order of the sentences


def _reviews(part: Part) -> list[str]:
    return [sentence.text for sentence in review_sentences.sentences(part)]


def _documentation(part: Part) -> list[str]:
    return list(dict.fromkeys(sentence.text for sentence in documentation.sentences(part)))


def _question(part: Part) -> list[list[str]]:
    found = _reviews(part)
    return [[text[:-1] for text in found if text.endswith(mark)] for mark in (".", "?")]


def _number(part: Part, *, of: Callable[[Part], list[str]]) -> list[list[str]]:
    found: list[list[str]] = [[], []]
    for text in of(part):
        found[bool(re.search(r"\d", text))].append(text)
    return found


def main_verb_tense(text: str) -> str | None:
    """ "present" or "past": the tense of the verb that follows the subject with which a sentence begins.

    The subject is a pronoun, or an article, "this", "that" or a possessive and one word; an adverb may follow it. Other
    sentences have None. So have those whose verb is not in a list of common ones; no form of "have" is, since it may
    belong to a perfect tense.
    """
    found = _SUBJECT_AND_VERB.fullmatch(text)
    return _TENSE.get(found[1]) if found else None


def _tense(part: Part) -> list[list[str]]:
    tenses = [(text, main_verb_tense(text)) for text in _reviews(part)]
    return [[text for text, found in tenses if found == tense] for tense in ("present", "past")]


def _bigram_shift(part: Part, *, of: Callable[[Part], list[str]]) -> list[list[str]]:
    return _changed(of(part), "bigram_shift", _swapped)


def _odd_word(part: Part) -> list[list[str]]:
    by_rank = _by_rank(os.environ.get("LAYA_NB_DATA"))
    ranks = {word: rank for rank, word in enumerate(by_rank[: RANKS[1]]) if rank >= RANKS[0]}
    return _changed(_reviews(part), "odd_word", partial(_replaced, by_rank=by_rank, ranks=ranks))


def _changed(found: list[str], name: str, change: Callable[[str, np.random.Generator], str | None]) -> list[list[str]]:
    """Half of the sentences as they are, the other half changed; those that cannot be changed are in neither."""
    by_class: list[list[str]] = [[], []]
    for text in found[:CHANGED_FROM]:
        changed = change(text, numpy_generator(0, f"{name}: {text}"))
        if changed is not None:
            half = _chance(text, name, 2)
            by_class[half].append((text, changed)[half])
    return by_class


def _swapped(text: str, rng: np.random.Generator) -> str | None:
    words = text.split()
    places = [
        i
        for i, (a, b) in enumerate(pairwise(words))
        if 0 < i < len(words) - 2 and a.isalpha() and b.isalpha() and a.lower() != b.lower()
    ]
    if not places:
        return None
    i = int(rng.choice(places))
    return " ".join([*words[:i], words[i + 1], words[i], *words[i + 2 :]])


@lru_cache(maxsize=1)
def _by_rank(_folder: str | None) -> list[str]:
    """Words in small letters, of three letters or more: first the most frequent of the training reviews' sentences."""
    counts = Counter(word for text in _reviews("train") for word in text.split() if _is_word(word))
    return sorted(counts, key=lambda word: (-counts[word], word))


def _is_word(word: str) -> bool:
    return word.isalpha() and word.islower() and len(word) >= 3


def _replaced(text: str, rng: np.random.Generator, *, by_rank: list[str], ranks: dict[str, int]) -> str | None:
    words = text.split()
    places = [i for i, word in enumerate(words[:-1]) if i and word in ranks]
    if not places:
        return None
    i = int(rng.choice(places))
    rank = ranks[words[i]]
    low, high = max(round(NEAR[0] * rank), RANKS[0]), min(round(NEAR[1] * rank), len(by_rank) - 1)
    other = int(rng.integers(low, high))  # one fewer than there are: the word itself is left out
    words[i] = by_rank[other + (other >= rank)]
    return " ".join(words)


def _length(part: Part, *, of: Callable[[Part], list[str]]) -> list[list[str]]:
    """What is cut is longer than any class, so that all are beginnings of sentences alike."""
    by_class: list[list[str]] = [[] for _ in LENGTHS]
    shortest, longest = LENGTHS[0][0], LENGTHS[-1][1]
    for text in of(part):
        words = text.split()
        if len(words) > longest:
            count = shortest + _chance(text, "length", longest - shortest + 1)
            cut = " ".join(words[:count]).rstrip(" ,;:'/%-.")
            if len(cut.split()) == count:
                by_class[next(i for i, (_, most) in enumerate(LENGTHS) if count <= most)].append(cut)
    return by_class


def _place(part: Part) -> list[list[str]]:
    found = review_sentences.sentences(part)
    return [[sentence.text for sentence in found if sentence.place == place] for place in ("opening", "closing")]


def _library(part: Part) -> list[list[str]]:
    found: list[list[str]] = [[] for _ in documentation.LIBRARIES]
    for sentence in documentation.sentences(part):
        text = " ".join(_LIBRARY_WORDS.sub("", sentence.text).split())
        if len(text.split()) >= 6:
            found[sentence.library].append(text)
    return found


def _kind(part: Part) -> list[list[str]]:
    found = documentation.sentences(part)
    return [
        [sentence.text for sentence in found if documentation.KINDS[sentence.kind] == kind]
        for kind in ("function", "class", "module")
    ]


def _chance(text: str, name: str, outcomes: int) -> int:
    """One of so many outcomes, decided by the text."""
    return int(tokens.checksum(f"{name}: {text}"), 16) % outcomes


_LENGTHS = tuple(f"{low} to {high} words" for low, high in LENGTHS)
TASKS: dict[str, Task] = {
    made.name: made
    for made in (
        Task("question", ("statement", "question"), _question, imdb.source),
        Task("number", ("no number", "number"), partial(_number, of=_reviews), imdb.source),
        Task("tense", ("present", "past"), _tense, imdb.source),
        Task("bigram_shift", ("as written", "swapped"), partial(_bigram_shift, of=_reviews), imdb.source),
        Task("odd_word", ("as written", "replaced"), _odd_word, imdb.source),
        Task("length", _LENGTHS, partial(_length, of=_reviews), imdb.source, same_lengths=False),
        Task("place", ("opening", "closing"), _place, imdb.source),
        Task("library", tuple(documentation.LIBRARIES.values()), _library, documentation.source),
        Task("kind", ("function", "class", "module"), _kind, documentation.source),
        Task("docs_number", ("no number", "number"), partial(_number, of=_documentation), documentation.source),
        Task(
            "docs_bigram_shift",
            ("as written", "swapped"),
            partial(_bigram_shift, of=_documentation),
            documentation.source,
        ),
        Task("docs_length", _LENGTHS, partial(_length, of=_documentation), documentation.source, same_lengths=False),
    )
}
