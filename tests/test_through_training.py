"""The language model at its checkpoints: measured once, and without it where results are kept."""

from pathlib import Path

import numpy as np
import pytest

from laya_nb.data import corpus, docstrings
from laya_nb.data.corpus import Corpus
from laya_nb.runs import ResultStore, through_training
from laya_nb.training.language import LanguageConfig

CONFIG = LanguageConfig(steps=3, batch_size=1, warm_up=1)
DATA = "docs_length@30"


def test_checkpoints_are_measured_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYA_NB_CACHE", str(tmp_path))
    asked = []

    def small() -> Corpus:
        asked.append(1)
        return corpus.corpus("docstrings", docstrings.sentences("test")[0][:200], 400)

    monkeypatch.setattr(corpus, "reviews", small)
    monkeypatch.setattr(through_training, "VIEWS", 2)
    store = ResultStore(tmp_path / "results", published=False)
    found = through_training.through_training(DATA, [DATA, "docs_number@40"], store, CONFIG)
    assert [result.run["step"] for result in found] == CONFIG.kept_at()
    assert len(asked) == 1
    first, last = found[0].arrays, found[-1].arrays
    assert last["prompt_entropy"].shape == last["dime"].shape == (8,)
    assert last["accuracy"].shape == (2, 8)
    assert ((last["accuracy"][0] * 30).round(3) % 1 < 0.01).all()
    assert [first["tokens"][0], last["tokens"][0]] == [0, 3 * 256]
    assert first["validation_loss"][0] > last["validation_loss"][0] > 0
    assert (first["curvature"] != last["curvature"]).any()
    again = through_training.through_training(DATA, [DATA, "docs_number@40"], store, CONFIG)
    assert len(asked) == 1
    np.testing.assert_array_equal(again[-1].arrays["dime"], last["dime"])
