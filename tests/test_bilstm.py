"""The recurrent backbone: the final states of packed sequences, whatever the padding and the neighbours."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from laya_nb import training
from laya_nb.backbones import BiLSTM
from laya_nb.data import docstrings, tokens
from laya_nb.heads import DepthClassifier, LastLayerHead
from laya_nb.support import keras_defaults, seeds

LENGTHS = [5, 1, 9, 3, 9]


def batch(lengths: list[int] = LENGTHS, width: int = 9) -> Tensor:
    ids = torch.randint(1, 50, (len(lengths), width), generator=torch.Generator().manual_seed(0))
    return ids.masked_fill(torch.arange(width) >= torch.tensor(lengths).unsqueeze(1), 0).int()


def close(one: Sequence[Tensor], other: Sequence[Tensor]) -> bool:
    """To float tolerance (torch.testing's comparison imports for seconds)."""
    return all(torch.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in zip(one, other, strict=True))


def small(dropout: float = 0.0) -> BiLSTM:
    backbone = BiLSTM(50, (4, 3), embedding_dim=6, dropout=dropout)
    keras_defaults.glorot_(backbone, torch.Generator().manual_seed(1))
    return backbone


class Packed(nn.Module):
    """The same by the book: packed sequences through torch's own bidirectional layers."""

    def __init__(self, backbone: BiLSTM) -> None:
        super().__init__()
        self.embedding = backbone.embedding
        self.layers = nn.ModuleList(
            nn.LSTM(forward_layer.input_size, forward_layer.hidden_size, bidirectional=True)
            for forward_layer in backbone.forward_layers
        )
        layers = zip(self.layers, backbone.forward_layers, backbone.backward_layers, strict=True)
        for layer, forward_layer, backward_layer in layers:
            for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
                setattr(layer, name, getattr(forward_layer, name))
                setattr(layer, f"{name}_reverse", getattr(backward_layer, name))

    def forward(self, x: Tensor) -> list[Tensor]:
        lengths = (x != 0).sum(1)
        sequence: Any = pack_padded_sequence(self.embedding(x), lengths, batch_first=True, enforce_sorted=False)
        hidden_states = []
        for layer in self.layers:
            sequence, (final, _) = layer(sequence)
            hidden_states.append(torch.cat([final[0], final[1]], dim=1))
        return hidden_states


def test_final_states_and_gradients_are_those_of_packed_sequences() -> None:
    backbone, x = small(), batch()
    results = []
    for model in (backbone, Packed(backbone)):
        hidden_states = model(x)
        backbone.zero_grad()
        sum((h * torch.arange(h.numel()).view_as(h).sin()).sum() for h in hidden_states).backward()
        gradients = [p.grad.clone() for p in backbone.parameters() if p.grad is not None]
        results.append((hidden_states, gradients))
    (ours, our_gradients), (packed, packed_gradients) = results
    assert [h.shape for h in ours] == [(5, 8), (5, 6)]
    assert backbone.out_dims == (8, 6)
    assert close(ours, packed)
    assert len(our_gradients) == len(packed_gradients) == len(list(backbone.parameters())) == 17
    assert close(our_gradients, packed_gradients)


def test_neither_padding_nor_neighbours_change_a_text() -> None:
    backbone, x = small(), batch()
    together = backbone(x)
    assert close(backbone(nn.functional.pad(x, (0, 7))), together)
    assert close(backbone(x.flip(0)), [h.flip(0) for h in together])
    for i, length in enumerate(LENGTHS):
        assert close(backbone(x[i : i + 1, :length]), [h[i : i + 1] for h in together])


def test_a_text_of_padding_alone_is_named() -> None:
    x = batch()
    x[3] = 0
    with pytest.raises(ValueError, match="text 3 of the batch is all padding; it needs at least one token"):
        small()(x)


def test_dropout_is_for_training_and_leaves_hidden_states_whole() -> None:
    backbone, x = small(dropout=0.5), batch([9] * 5)  # of one word, dropout may leave nothing
    first, second = backbone(x), backbone(x)
    for one, other in zip(first, second, strict=True):
        assert not torch.equal(one, other)
        assert (one != 0).all()
    assert close(backbone.eval()(x), small()(x))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_dims": ()}, "hidden_dims must be a list of at least one integer"),
        ({"hidden_dims": (8, 0)}, r"hidden_dims must be .* of 1 or more, got \(8, 0\)"),
        ({"embedding_dim": 0}, "embedding_dim must be an integer of at least 1, got 0"),
        ({"vocabulary_size": 1.5}, "vocabulary_size must be an integer of at least 1, got 1.5"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\), got 1.0"),
    ],
)
def test_sizes_that_are_none_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BiLSTM(**settings)


def test_it_learns_which_library_a_sentence_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the sentences come from either; from words alone about 80 % can be told."""
    monkeypatch.setenv("LAYA_NB_CACHE", str(tmp_path))
    monkeypatch.setattr(tokens, "LENGTH", 25)
    dataset, size = docstrings.docstrings(), len(docstrings.vocabulary())
    backbone = BiLSTM(size, (8, 8), embedding_dim=16)
    model = DepthClassifier(backbone, LastLayerHead(backbone.out_dims, 2))
    keras_defaults.glorot_(model, seeds.generator(0, "initialisation"))
    protocol = training.TrainingConfig(learning_rate=1e-2, max_epochs=4)
    training.fit(model, dataset.split(0), seed=0, protocol=protocol, device="cpu")
    right = training.predict(model, dataset.test.x).labels == dataset.test.y
    assert right.float().mean() > 0.7
    assert not backbone.embedding.weight[0].any()  # padding has stayed where it was
