"""The language model: trained to the same bits however often it is stopped, published, and read as an encoder."""

import json
import math
import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from laya_nb import features
from laya_nb.analysis.ngrams import KneserNey
from laya_nb.backbones import gpt
from laya_nb.backbones.gpt import Shape
from laya_nb.data import corpus, docstrings
from laya_nb.data.corpus import Corpus
from laya_nb.features import encoders, language
from laya_nb.support import paths, tensors
from laya_nb.support.files import DataError
from laya_nb.training import NonFiniteLoss
from laya_nb.training.language import Checkpoint, LanguageConfig, loss, train
from laya_nb.training.publication import publish

SHAPE = Shape(blocks=2, width=16, heads=2, context=16, vocabulary_size=400)
CONFIG = LanguageConfig(steps=12, batch_size=32, learning_rate=0.01, warm_up=2)
TEXTS = ["Returns the sum of all elements.", "An array", "", "The " * 40]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """A few sentences: a pass over them has fewer steps than the training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAYA_NB_CACHE", str(tmp_path_factory.mktemp("corpus")))
        return corpus.corpus("docstrings", docstrings.sentences("test")[0][:90], SHAPE.vocabulary_size)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYA_NB_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def trained(small: Corpus, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Checkpoint]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAYA_NB_CACHE", str(tmp_path_factory.mktemp("trained")))
        return train(small, CONFIG, SHAPE)


def without_seconds(kept: list[Checkpoint]) -> list[Checkpoint]:
    return [replace(one, seconds=0.0) for one in kept]


def killed_at(step: int, cache: Path, small: Corpus) -> None:
    def die(now: int) -> None:
        if now == step:
            os.kill(os.getpid(), signal.SIGKILL)

    os.environ["LAYA_NB_CACHE"] = str(cache)
    train(small, CONFIG, SHAPE, record_every=0, after_step=die)


def test_a_training_that_is_killed_twice_comes_to_the_same_bits(
    small: Corpus, trained: tuple[Path, list[Checkpoint]], tmp_path: Path
) -> None:
    """Killed at steps 5 and 9, whose states were not written yet; between them a new pass over the texts begins."""
    for step in (5, 9):
        process = multiprocessing.get_context("spawn").Process(target=killed_at, args=(step, tmp_path / "cache", small))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    assert small.train.predicted < 9 * CONFIG.batch_size * SHAPE.context
    steps: list[int] = []
    folder, kept = train(small, CONFIG, SHAPE, after_step=steps.append)
    assert steps == [9, 10, 11, 12]
    assert without_seconds(kept) == without_seconds(trained[1])
    for one in kept:
        assert (folder / one.file).read_bytes() == (trained[0] / one.file).read_bytes()
    assert {path.name for path in folder.iterdir()} == {"log.json", gpt.TOKENIZER, *(one.file for one in kept)}
    assert train(small, CONFIG, SHAPE, after_step=steps.append) == (folder, kept)
    assert len(steps) == 4  # what is finished is not trained again


def test_it_learns(small: Corpus, trained: tuple[Path, list[Checkpoint]]) -> None:
    """From a uniform guess downward; losses are those of the files, per token and per byte of one total."""
    _, kept = trained
    assert [one.step for one in kept] == CONFIG.kept_at() == [0, 1, 2, 5, 8, 12]
    assert kept[0].train_loss is None
    assert kept[0].validation_loss == pytest.approx(math.log(SHAPE.vocabulary_size), rel=0.01)
    assert kept[-1].validation_loss < kept[0].validation_loss - 0.2
    assert kept[-1].tokens == 12 * 32 * 16
    for one in kept:
        total = one.validation_loss * small.validation.predicted
        assert one.validation_loss_per_byte * small.validation.size == pytest.approx(total)


def test_bfloat16_learns_as_well(small: Corpus, trained: tuple[Path, list[Checkpoint]]) -> None:
    """Products are rounded, so other weights come out, kept apart; what is learnt is nearly the same."""
    folder, kept = train(small, replace(CONFIG, bfloat16=True), SHAPE)
    assert folder != trained[0]
    ours, theirs = ([one.validation_loss for one in of] for of in (kept, trained[1]))
    assert ours[0] == theirs[0]  # losses are taken in full precision
    assert ours[-1] != theirs[-1]
    assert ours == pytest.approx(theirs, rel=0.01)


def test_the_loss_is_that_of_every_token(small: Corpus, trained: tuple[Path, list[Checkpoint]]) -> None:
    """Sequence by sequence, by hand: the last one is shorter, and no token is left out or counted twice."""
    folder, kept = trained
    model = gpt.read(folder / kept[-1].file, "")
    row = torch.from_numpy(small.validation.tokens.astype(np.int64))
    assert small.validation.predicted % SHAPE.context
    parts = []
    with torch.no_grad():
        for start in range(0, len(row) - 1, SHAPE.context):
            y = row[start + 1 : start + 1 + SHAPE.context]
            logits = model(input_ids=row[start : start + len(y)].unsqueeze(0)).logits[0]
            parts.append(F.cross_entropy(logits, y, reduction="none"))
    found = torch.cat(parts)
    assert len(found) == small.validation.predicted
    assert loss(model, small.validation, batch_size=3) == pytest.approx(found.mean().item(), rel=1e-5)
    assert kept[-1].validation_loss == pytest.approx(found.mean().item(), rel=1e-5)


def stopped(small: Corpus) -> Path:
    def stop(step: int) -> None:
        if step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(small, CONFIG, SHAPE, record_every=0, after_step=stop)
    (state,) = paths.cache().glob("language/*/state.safetensors")
    return state


@pytest.mark.parametrize(
    "damage", [lambda whole: whole[:-1], lambda whole: whole[:-1] + bytes([whole[-1] ^ 1]), lambda whole: b""]
)
def test_a_damaged_state_is_named(damage: Any, small: Corpus) -> None:
    state = stopped(small)
    state.write_bytes(damage(state.read_bytes()))
    with pytest.raises(DataError, match=r"state\.safetensors is damaged.*; delete it, and the training begins anew"):
        train(small, CONFIG, SHAPE)


def test_a_state_whose_notes_were_changed_is_named(small: Corpus) -> None:
    state = stopped(small)
    whole = state.read_bytes()
    assert whole.count(b'\\"step\\": 3') == 1
    state.write_bytes(whole.replace(b'\\"step\\": 3', b'\\"step\\": 2'))
    with pytest.raises(DataError, match="its values are not those that were written"):
        train(small, CONFIG, SHAPE)


def test_a_loss_that_is_no_number_ends_the_training(small: Corpus) -> None:
    with pytest.raises(NonFiniteLoss, match=r"the loss is (nan|inf) at step"):
        train(small, replace(CONFIG, learning_rate=1e30), SHAPE)


def test_the_learning_rate_rises_and_falls() -> None:
    config = LanguageConfig(steps=110, warm_up=10, learning_rate=2.0, final_share=0.1)
    assert [config.rate(step) for step in (0, 4, 9, 10)] == pytest.approx([0.2, 1.0, 2.0, 2.0])
    assert config.rate(60) == pytest.approx(1.1)  # half-way
    assert config.rate(110) == pytest.approx(0.2)
    assert LanguageConfig(steps=100).kept_at() == [0, 1, 3, 8, 20, 40, 70, 100]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps must be an integer of at least 1, got 0"),
        ({"final_share": 1.5}, "final_share must lie above 0 and be at most 1, got 1.5"),
        ({"learning_rate": math.inf}, "learning_rate must be a finite number above 0, got inf"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LanguageConfig(**settings)


def test_shapes_that_do_not_fit_are_named(small: Corpus) -> None:
    with pytest.raises(ValueError, match="width must be a multiple of heads, got 16 and 3"):
        replace(SHAPE, heads=3)
    with pytest.raises(ValueError, match="vocabulary_size must be the corpus' 400, got 401"):
        train(small, CONFIG, replace(SHAPE, vocabulary_size=401))
    with pytest.raises(ValueError, match=r"docstrings has \d+ tokens to train on, .* lower batch_size or context"):
        train(small, CONFIG, replace(SHAPE, context=4096))


# --- published, and read as an encoder


@pytest.fixture
def published(
    small: Corpus, trained: tuple[Path, list[Checkpoint]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    monkeypatch.setattr(paths, "PUBLISHED", tmp_path)
    folder = tmp_path / gpt.PUBLISHED
    ngrams = KneserNey(small.train.tokens, 5, small.vocabulary_size).loss(small.validation.tokens)
    publish(small, *trained, CONFIG, ngrams, 1, folder)
    return folder


def test_the_card_says_what_was_measured(
    published: Path, small: Corpus, trained: tuple[Path, list[Checkpoint]]
) -> None:
    card, last = (published / gpt.CARD).read_text(), trained[1][-1]
    assert f"| this model | {last.validation_loss:.4f} | {last.validation_loss_per_byte:.4f} |" in card
    assert f"{small.train.texts:,} reviews" in card
    assert f"| 12 | {last.tokens:,} | {last.train_loss:.4f} | {last.validation_loss:.4f} |" in card
    assert "{" not in card
    assert sorted(path.name for path in published.iterdir()) == sorted([gpt.MODEL, gpt.TOKENIZER, gpt.CARD])


@torch.no_grad()
def test_hidden_states_are_the_blocks_outputs_before_the_final_norm(published: Path) -> None:
    encoder = encoders.load("reviews_gpt")
    assert encoder.backbone.out_dims == features.widths("reviews_gpt") == (16, 16)
    assert encoder.backbone.names == features.names("reviews_gpt+l2") == ("transformer.h.0", "transformer.h.1")
    batch = encoder.prepare(TEXTS[:1]).batch([0])
    model: Any = encoder.backbone.module
    embedded = model.transformer.wte(batch["input_ids"]) + model.transformer.wpe(
        torch.arange(batch["input_ids"].shape[1])
    )
    for block, h in zip(model.transformer.h, encoder.backbone(batch), strict=True):
        full = torch.ones(1, 1, *[embedded.shape[1]] * 2, dtype=torch.bool).tril()
        embedded = block(embedded, attention_mask=full)
        embedded = embedded[0] if isinstance(embedded, tuple) else embedded
        torch.testing.assert_close(h, embedded.mean(dim=1))


@torch.no_grad()
def test_padding_changes_nothing(published: Path) -> None:
    """Beside longer texts, which are cut, a text has the hidden states that it has alone; so has an empty one."""
    encoder = encoders.load("reviews_gpt")
    texts = encoder.prepare(TEXTS)
    assert texts.lengths[2:] == [1, SHAPE.context]
    together = encoder.backbone(texts.batch(range(len(TEXTS))))
    for row in range(len(TEXTS)):
        for h, alone in zip(together, encoder.backbone(texts.batch([row])), strict=True):
            torch.testing.assert_close(h[row], alone[0], rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_later_tokens_change_nothing_before_them(published: Path) -> None:
    model: Any = encoders.load("reviews_gpt").backbone.module
    ids = torch.randint(0, SHAPE.vocabulary_size, (1, 16), generator=torch.Generator().manual_seed(0))
    other = ids.clone()
    other[0, 9] = (ids[0, 9] + 1) % SHAPE.vocabulary_size
    a, b = (model(input_ids=x, output_hidden_states=True).hidden_states for x in (ids, other))
    for one, two in zip(a, b, strict=True):
        assert torch.equal(one[:, :9], two[:, :9])
        assert not torch.equal(one[:, 9:], two[:, 9:])


def test_random_weights_are_those_that_training_began_with(
    published: Path, trained: tuple[Path, list[Checkpoint]]
) -> None:
    folder, kept = trained
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    random = encoders.load("reviews_gpt+random")
    assert torch.equal(torch.rand(1), expected)
    assert random.name == "reviews_gpt+random"
    begun, _ = tensors.read(folder / kept[0].file, "")
    for name, weight in gpt.weights(random.backbone.module).items():  # type: ignore[arg-type]
        assert torch.equal(weight.half(), begun[name])


def test_checkpoints_can_be_read_as_the_published_model(
    published: Path, trained: tuple[Path, list[Checkpoint]]
) -> None:
    folder, kept = trained
    last = language.encoder("last", gpt.read(folder / kept[-1].file, ""), (folder / gpt.TOKENIZER).read_text())
    theirs = encoders.load("reviews_gpt")
    for one, two in zip(
        last.backbone(last.prepare(TEXTS).batch([0, 1])),
        theirs.backbone(theirs.prepare(TEXTS).batch([0, 1])),
        strict=True,
    ):
        assert torch.equal(one, two)


def test_a_data_set_of_its_features(published: Path) -> None:
    dataset = features.load("docstrings", "reviews_gpt")
    assert (dataset.name, dataset.train.x.shape) == ("docstrings/reviews_gpt", (2000, 32))
    assert dataset.train.x.isfinite().all()
    features.load.cache_clear()


def test_what_is_not_published_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "PUBLISHED", tmp_path)
    for ask in (encoders.load, encoders.widths, encoders.names):
        with pytest.raises(DataError, match=r"'reviews_gpt' is not published yet: tools/train_language_model\.py"):
            ask("reviews_gpt+random")


def test_a_damaged_published_model_is_named(published: Path) -> None:
    path = published / gpt.MODEL
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"model\.safetensors is damaged .*; restore it from the repository"):
        encoders.load("reviews_gpt")


def test_the_log_is_plain(trained: tuple[Path, list[Checkpoint]]) -> None:
    folder, kept = trained
    assert [one["step"] for one in json.loads((folder / "log.json").read_text())] == [one.step for one in kept]
