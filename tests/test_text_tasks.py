"""The tasks on texts: balanced, in parts that share nothing, and without what would give an answer away."""

import os
from collections import Counter
from pathlib import Path

import pytest
import torch
from _pytest.mark import ParameterSet

from laya_nb import data
from laya_nb.analysis.words import word_baselines
from laya_nb.data import DataError, catalog, documentation, imdb, review_sentences, text_tasks, tokens
from laya_nb.data.text_tasks import TASKS, main_verb_tense

FULL = os.environ.get("LAYA_NB_DATA")
needs_full_set = pytest.mark.skipif(not FULL, reason="LAYA_NB_DATA is not set")
DOCUMENTATION = ("library", "kind", "docs_number", "docs_bigram_shift", "docs_length")


def params(*names: str) -> list[ParameterSet]:
    """All that are not about documentation need the reviews."""
    return [pytest.param(name, marks=() if name in DOCUMENTATION else needs_full_set) for name in names]


def by_class(name: str, examples: int = 300) -> list[list[str]]:
    texts, labels = text_tasks.texts(name, "test", examples)
    return [
        [text for text, label in zip(texts, labels.tolist(), strict=True) if label == i]
        for i in range(len(TASKS[name].classes))
    ]


# --- every task


@pytest.mark.parametrize("name", params(*TASKS))
def test_classes_are_balanced_and_no_text_stands_twice(name: str) -> None:
    """Of 2,000 texts of either part, which every task has."""
    found = {part: text_tasks.texts(name, part) for part in text_tasks.PARTS}
    for part, (texts, labels) in found.items():
        assert (len(texts), labels.dtype) == (2000, torch.int64)
        assert len(set(texts)) == 2000
        for n in (100, 777, 2000):
            of_each = labels[:n].bincount(minlength=len(TASKS[name].classes))
            assert of_each.max() - of_each.min() <= 1
        few, few_labels = text_tasks.texts(name, part, 90)
        assert (few, few_labels.tolist()) == (texts[:90], labels[:90].tolist())
        if TASKS[name].same_lengths:
            n = 2000 - 2000 % len(of_each)  # whole groups, of one text for each class
            lengths: list[Counter[int]] = [Counter() for _ in of_each]
            for text, label in zip(texts[:n], labels[:n].tolist(), strict=True):
                lengths[label][len(text.split())] += 1
            assert all(counts == lengths[0] for counts in lengths)
    assert not set(found["train"][0]) & set(found["test"][0])


@pytest.mark.parametrize("name", params("docs_number", "tense"))
def test_a_task_with_its_number_of_texts_is_a_data_set(name: str) -> None:
    found, entry = data.load(f"{name}@60"), catalog.entry(f"{name}@60")
    assert (found.name, found.classes, entry.kind) == (f"{name}@60", TASKS[name].classes, "texts")
    for part, examples in (("train", found.train), ("test", found.test)):
        texts, labels = entry.raw(part)  # type: ignore[arg-type]
        assert torch.equal(labels, examples.y)
        assert examples.x.shape == (60, tokens.LENGTH)
        counts = [len(text.split()) for text in texts]
        assert torch.corrcoef(torch.stack([(examples.x > 0).sum(dim=1), torch.tensor(counts)]).float())[0, 1] > 0.8


@pytest.mark.parametrize("name", params("bigram_shift", "docs_bigram_shift", "odd_word"))
def test_single_words_do_not_tell_whether_words_were_changed(name: str) -> None:
    train, test = text_tasks.texts(name, "train"), text_tasks.texts(name, "test")
    assert word_baselines(train[0], train[1].tolist(), test[0], test[1].tolist())["bag_of_words"] < 0.6


# --- what single tasks are


@needs_full_set
def test_questions_have_lost_their_mark() -> None:
    statements, questions = by_class("question")
    whole = {sentence.text for sentence in review_sentences.sentences("test")}
    assert not [text for text in statements + questions if text[-1] in "?.!" or "?" in text]
    assert all(f"{text}?" in whole for text in questions)
    assert all(f"{text}." in whole for text in statements)


@pytest.mark.parametrize("name", params("number", "docs_number"))
def test_numbers_have_digits(name: str) -> None:
    without, with_number = ([any(letter.isdigit() for letter in text) for text in found] for found in by_class(name))
    assert (any(without), all(with_number)) == (False, True)


@pytest.mark.parametrize("name", params("bigram_shift", "docs_bigram_shift"))
def test_two_words_inside_have_changed_places(name: str) -> None:
    of = text_tasks._reviews if name == "bigram_shift" else text_tasks._documentation
    written = {tuple(sorted(text.split())): text.split() for text in of("test")}
    for label, texts in enumerate(by_class(name)):
        for text in texts:
            words = text.split()
            moved = [i for i, word in enumerate(written[tuple(sorted(words))]) if word != words[i]]
            assert len(moved) == 2 * label
            if moved:
                assert 0 < moved[0] == moved[1] - 1 < len(words) - 2


@needs_full_set
def test_one_word_has_been_replaced_by_one_as_frequent() -> None:
    words = text_tasks._by_rank(FULL)
    ranks = {word: rank for rank, word in enumerate(words)}
    written = [text.split() for text in text_tasks._reviews("test")[: text_tasks.CHANGED_FROM]]
    holes = {(i, *text[:i], *text[i + 1 :]): text[i] for text in written for i in range(1, len(text) - 1)}
    whole = {" ".join(text) for text in written}
    as_written, replaced = by_class("odd_word", 100)
    assert set(as_written) <= whole
    assert not set(replaced) & whole
    for text in (text.split() for text in replaced):
        pairs = [(holes.get((i, *text[:i], *text[i + 1 :])), text[i]) for i in range(1, len(text) - 1)]
        ((old, new),) = [(old, new) for old, new in pairs if old is not None]
        assert 0.79 < ranks[new] / ranks[old] < 1.26


@pytest.mark.parametrize("name", params("length", "docs_length"))
def test_lengths_are_three_classes_of_beginnings(name: str) -> None:
    of = text_tasks._reviews if name == "length" else text_tasks._documentation
    begin = {tuple(text.split()[:5]) for text in of("test") if len(text.split()) > 20}
    for (low, high), texts in zip(text_tasks.LENGTHS, by_class(name), strict=True):
        counts = [len(text.split()) for text in texts]
        assert set(counts) == set(range(low, high + 1))
        assert all(tuple(text.split()[:5]) in begin and text[-1] not in ".,;:" for text in texts)


@pytest.mark.parametrize(
    ("text", "tense"),
    [
        ("The plot is thin.", "present"),
        ("I never thought that it is good.", "past"),
        ("She also takes what he gave her.", "present"),
        ("They didn't know that it works.", "past"),
        ("The poorly made film is long.", None),
        ("It has been a joy.", None),  # perfect
        ("When I saw it, I laughed.", None),
        ("I would say that it was good.", None),
    ],
)
def test_the_tense_is_that_of_the_verb_after_the_subject(text: str, tense: str | None) -> None:
    assert main_verb_tense(text) == tense


@needs_full_set
def test_sentences_stand_where_their_review_has_them() -> None:
    reviews = [" ".join(text.replace("<br />", " ").split()) for text in data.catalog.entry("imdb").raw("test")[0]]
    for place, texts in zip(("opening", "closing"), by_class("place", 60), strict=True):
        for text in texts:
            assert any(review.startswith(text) if place == "opening" else review.endswith(text) for review in reviews)


def test_libraries_are_not_named() -> None:
    said = " ".join(text for found in by_class("library", 1400) for text in found).lower()
    for word in ("numpy", "scipy", "sklearn", "scikit", "pandas", "matplotlib", "torch", "statsmodels", "dataframe"):
        assert word not in said


# --- where the sentences come from

MODULE = '''"""This module does all that a module of six words can do.

A second paragraph of it, which says a few words more."""


def public(x):
    """Return what was given, after a look at what it is.

    Parameters
    ----------
    x : int
        The parameter that this function is given by its caller.
    """
    def inner():
        """Return something that nobody outside will ever be able to see."""


def _private():
    """Return something that nobody outside should ever have to see."""


class Public:
    """A class, of which there are two words too many here."""

    def method(self):
        """Do what a method does when somebody calls it by name."""
'''


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library of one module takes the place of all."""
    package = tmp_path / "planted_library"
    (package / "tests").mkdir(parents=True)
    (package / "__init__.py").write_text(MODULE)
    (package / "tests" / "cases.py").write_text('"""These are the words of a test that nobody documents."""')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(documentation, "LIBRARIES", {"planted_library": "Planted"})
    monkeypatch.setattr(documentation, "version", lambda name: "1.0")
    monkeypatch.setenv("LAYA_NB_CACHE", str(tmp_path / "cache"))


@pytest.mark.usefixtures("planted")
def test_documentation_is_read_from_the_source_code() -> None:
    found = [sentence for part in text_tasks.PARTS for sentence in documentation.sentences(part)]
    assert {(text, documentation.KINDS[kind]) for text, _, kind in found} == {
        ("This module does all that a module of six words can do.", "module"),
        ("A second paragraph of it, which says a few words more.", "module"),
        ("Return what was given, after a look at what it is.", "function"),
        ("A class, of which there are two words too many here.", "class"),
        ("Do what a method does when somebody calls it by name.", "method"),
    }
    assert documentation.source() == "from the source code of Planted 1.0"


def test_a_library_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documentation, "LIBRARIES", {"no_such_library": "Nothing"})
    with pytest.raises(DataError, match=r"Nothing is not installed.*pip install 'laya-nb\[chapters\]'"):
        documentation.sentences("test")


@pytest.mark.parametrize(
    ("review", "found"),
    [
        (
            "First of all, here is the first one.<br /><br />It is short. Then Dr. Jones and Mrs. B. Smith do not part."
            ' He said "a quotation is left out" to her. And so is it the last of all?',
            [
                ("First of all, here is the first one.", "opening"),
                ("Then Dr. Jones and Mrs. B. Smith do not part.", None),
                ("And so is it the last of all?", "closing"),
            ],
        ),
        ("A review with one sentence has no place.", [("A review with one sentence has no place.", "middle")]),
    ],
)
def test_sentences_of_a_review(review: str, found: list[tuple[str, str | None]]) -> None:
    """A full stop inside, as after "Dr.", makes a sentence no plain one; it parts none."""
    assert list(review_sentences._plain(review)) == [one for one in found if one[1]]


def test_reviews_that_cannot_be_had_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the error of the data set that they are."""
    (tmp_path / "imdb").mkdir()
    (tmp_path / "imdb" / imdb.IMDB_FILES["train"]).write_bytes(b"PAR1")
    monkeypatch.setenv("LAYA_NB_DATA", str(tmp_path))
    with pytest.raises(DataError, match=f"{imdb.IMDB_FILES['train']} is damaged: 4 bytes"):
        text_tasks.load("tense")


@pytest.mark.parametrize(
    ("name", "examples", "message"),
    [
        ("kinds", 60, "unknown task 'kinds'; nearest: 'kind'"),
        ("kind", 2, "examples of 'kind' must be an integer of at least 3, got 2"),
        (
            "kind",
            10**6,
            "examples must be at most [0-9]+ in the test part of 'kind', for balanced classes, got 1000000",
        ),
    ],
)
def test_bad_values_are_named(name: str, examples: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        text_tasks.texts(name, "test", examples)


# --- without a network


def test_baselines_are_the_most_frequent_class_and_the_words() -> None:
    train, labels = ["good film", "very good", "a good one", "bad film", "so bad"], [1, 1, 1, 0, 0]
    found = word_baselines(train, labels, ["good", "bad", "bad bad", "good good"], [1, 0, 0, 1])
    assert found == {"majority": 0.5, "bag_of_words": 1.0}
    with pytest.raises(ValueError, match="test: texts must have a label each, got 0 texts and 0 labels"):
        word_baselines(train, labels, [], [])
    with pytest.raises(ValueError, match=r"the training labels must have two classes or more, got \[1\]"):
        word_baselines(train[:3], labels[:3], ["good"], [1])
