"""Train a language model: resumable to the bit, with checkpoints along the way."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from filelock import FileLock
from torch import Tensor, nn
from torch.nn import functional as F

from laya_nb.backbones import gpt
from laya_nb.backbones.gpt import Shape
from laya_nb.data.corpus import Corpus, Stream
from laya_nb.support import paths, seeds, tensors
from laya_nb.support.checks import check_integer, check_positive, is_positive
from laya_nb.support.files import write_whole
from laya_nb.support.progress import bar
from laya_nb.training.config import NonFiniteLoss
from laya_nb.training.optimizer import Adam

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel

KEPT_AT = (0.0, 0.01, 0.03, 0.08, 0.2, 0.4, 0.7, 1.0)
"""The shares of a training at which the model is kept: first and last, and denser where it changes most."""
RECORD_EVERY = 180.0  # seconds of work, which is what a killed process loses
_AT_ONCE = 8  # sequences through the network: what they leave fits a processor's cache, and 32 take 1.3 times as long
_ADVICE = "delete it, and the training begins anew"


@dataclass(frozen=True)
class LanguageConfig:
    """How a language model is trained: AdamW, a linear warm-up, then half a cosine.

    Args:
        steps: after which training ends; by default one pass over the reviews.
        batch_size: sequences in a step, each as long as the model's context.
        learning_rate: the highest, after the warm-up.
        warm_up: steps in which the learning rate rises.
        final_share: of the highest learning rate, at which the cosine ends.
        weight_decay: of all parameters, as AdamW does it.
        clip_norm: the largest norm of a step's gradient; a longer one is shortened.
        seed: of the initial weights and of the order of the sequences.
        bfloat16: matrix products in that precision, the weights stay float32. On two cores that have instructions for
            it (AVX512-BF16, AMX) a step takes 0.4 times as long; on others it takes several times as long.
    """

    steps: int = 958
    batch_size: int = 32
    learning_rate: float = 1e-3
    warm_up: int = 100
    final_share: float = 0.1
    weight_decay: float = 0.1
    clip_norm: float = 1.0
    seed: int = 0
    bfloat16: bool = False

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "warm_up"):
            check_integer(name, getattr(self, name))
        check_integer("seed", self.seed, minimum=0)
        for name in ("learning_rate", "weight_decay", "clip_norm"):
            check_positive(name, getattr(self, name))
        if not (is_positive(self.final_share) and self.final_share <= 1):
            raise ValueError(f"final_share must lie above 0 and be at most 1, got {self.final_share!r}")

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        if step < self.warm_up:
            return self.learning_rate * (step + 1) / self.warm_up
        share = (step - self.warm_up) / max(self.steps - self.warm_up, 1)
        return self.learning_rate * (self.final_share + (1 - self.final_share) * (1 + math.cos(math.pi * share)) / 2)

    def kept_at(self) -> list[int]:
        """The numbers of finished steps at which the model is kept."""
        return sorted({round(share * self.steps) for share in KEPT_AT})


BOOK = LanguageConfig(steps=3 * LanguageConfig.steps, bfloat16=True)
"""How the book's model is trained: three passes over the reviews, an hour on two cores that multiply in bfloat16."""


@dataclass(frozen=True)
class Checkpoint:
    """A model that was kept, and what was known of it then.

    Losses are means over predicted tokens. `train_loss` is that of the steps since the checkpoint before, each batch
    before it was learned from, and None at step 0. `validation_loss` is that of the kept file, in half precision.
    """

    step: int
    tokens: int
    train_loss: float | None
    validation_loss: float
    validation_loss_per_byte: float
    seconds: float
    file: str


def train(
    corpus: Corpus,
    config: LanguageConfig | None = None,
    shape: Shape | None = None,
    *,
    record_every: float = RECORD_EVERY,
    after_step: Callable[[int], object] | None = None,
) -> tuple[Path, list[Checkpoint]]:
    """Train a language model on a corpus: the folder of its checkpoints, and the list of them.

    The folder is in the cache, below `language`, named after all that decides the model. A killed process leaves what
    it did, the next call goes on from there, and comes to the same bits on the same machine with the same number of
    threads. A second process waits for the first. What is finished is not trained again.

    Args:
        corpus: what to train and to validate on.
        config: how; one pass over the reviews, by default.
        shape: of the network; that of the book's, by default, with the corpus' vocabulary.
        record_every: seconds after which the state of the training is written.
        after_step: called with the number of finished steps, after each; it must change nothing.

    Raises:
        ValueError: for a corpus that has fewer tokens than one batch, or another vocabulary than the shape.
        NonFiniteLoss: at the first step whose loss is not finite.
        DataError: for a damaged state of a training that was begun.
        OSError: if the disk is too full.
    """
    config = config or LanguageConfig()
    shape = shape or Shape(vocabulary_size=corpus.vocabulary_size)
    if shape.vocabulary_size != corpus.vocabulary_size:
        raise ValueError(f"vocabulary_size must be the corpus' {corpus.vocabulary_size}, got {shape.vocabulary_size!r}")
    decides = json.dumps([corpus.key, asdict(config), asdict(shape)])
    key = hashlib.sha256(decides.encode()).hexdigest()[:12]
    folder = paths.cache() / "language" / f"{corpus.name}-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):  # a killed process lets it go
        log = folder / "log.json"
        if not log.is_file():
            for left in folder.glob("*.tmp"):  # by killed processes
                left.unlink()
            write_whole(folder / gpt.TOKENIZER, lambda path: path.write_text(corpus.tokenizer))
            kept = _Training(corpus, config, shape, folder).run(record_every, after_step)
            write_whole(log, lambda path: path.write_text(json.dumps([asdict(one) for one in kept], indent=1)))
            (folder / "state.safetensors").unlink()
    return folder, [Checkpoint(**one) for one in json.loads(log.read_text())]


@torch.no_grad()
def loss(model: "GPT2LMHeadModel", stream: Stream, batch_size: int = 32) -> float:
    """The mean loss over all predicted tokens of a stream, cut into sequences as long as the model's context.

    The first token of a sequence is predicted from one token, its last from as many as the model can read.
    """
    model.eval()
    context = model.config.n_positions
    row = _as_tensor(stream)
    full = (len(row) - 1) // context
    x, y = (row[shift : shift + full * context].view(full, context) for shift in (0, 1))
    parts = [*zip(x.split(batch_size), y.split(batch_size), strict=True)] if full else []
    if full * context < len(row) - 1:
        parts.append((row[None, full * context : -1], row[None, full * context + 1 :]))
    return sum(_loss(model, *part).item() * part[1].numel() for part in parts) / stream.predicted


class _Training:
    """A training and its state: weights, moving averages, finished steps, and what is noted on the way."""

    def __init__(self, corpus: Corpus, config: LanguageConfig, shape: Shape, folder: Path) -> None:
        self.corpus, self.config, self.shape, self.folder = corpus, config, shape, folder
        self.row = _as_tensor(corpus.train)
        # One context less than there are: each pass begins somewhere else within the first.
        self.sequences = (len(self.row) - 1) // shape.context - 1
        self.per_pass = self.sequences // config.batch_size  # steps; what is left over is another in each pass
        if self.per_pass < 1:
            raise ValueError(
                f"{corpus.name} has {corpus.train.predicted} tokens to train on, one step and a spare sequence take "
                f"{(config.batch_size + 1) * shape.context}; lower batch_size or context"
            )
        self.model = gpt.build(shape, config.seed)
        self.optimizer = Adam(self.model.parameters(), config.learning_rate, config.weight_decay)
        self.step = 0
        self.seconds = self.summed = 0.0  # of work; of the losses since the last checkpoint
        self.kept: list[Checkpoint] = []
        if self.path.is_file():
            self._resume()

    @property
    def path(self) -> Path:
        return self.folder / "state.safetensors"

    def run(self, record_every: float, after_step: Callable[[int], object] | None) -> list[Checkpoint]:
        """Train from the state to the end."""
        kept_at = self.config.kept_at()
        recorded = lapped = time.perf_counter()
        if not self.kept:
            self._keep()
        with bar(total=self.config.steps, initial=self.step, desc="language model", unit="step") as progress:
            for x, y in self._batches():
                value = self._learn(x, y)
                now = time.perf_counter()
                self.seconds, lapped = self.seconds + now - lapped, now
                if after_step is not None:
                    after_step(self.step)
                if self.step in kept_at:
                    self._keep()
                if self.step in kept_at or now - recorded >= record_every:
                    self._record()
                    recorded = time.perf_counter()
                lapped = time.perf_counter()  # validation and writing are no part of the training time
                progress.set_postfix(loss=f"{value:.3f}")
                progress.update()
        return self.kept

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and targets (B, context) of the steps to come: they depend on the seed and the step alone."""
        context, size = self.shape.context, self.config.batch_size
        order, start, drawn = torch.empty(0), 0, -1
        while self.step < self.config.steps:
            number, place = divmod(self.step, self.per_pass)
            if number != drawn:
                stream = torch.Generator().manual_seed(seeds.stream_seed(self.config.seed, f"pass {number}"))
                start = int(torch.randint(context, (), generator=stream))
                order, drawn = torch.randperm(self.sequences, generator=stream), number
            begins = start + context * order[place * size : (place + 1) * size]
            found = self.row[begins.unsqueeze(1) + torch.arange(context + 1)]
            yield found[:, :-1], found[:, 1:]

    def _learn(self, x: Tensor, y: Tensor) -> float:
        self.model.train()
        self.optimizer.learning_rate = self.config.rate(self.step)
        self.optimizer.zero_grad()
        value = 0.0
        for part in zip(x.split(_AT_ONCE), y.split(_AT_ONCE), strict=True):
            with torch.autocast("cpu", torch.bfloat16, enabled=self.config.bfloat16):
                share = _loss(self.model, *part) * (len(part[0]) / len(x))
            share.backward()
            value += share.item()
        if not math.isfinite(value):
            raise NonFiniteLoss(value, self.step % self.per_pass + 1, self.step // self.per_pass + 1)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.optimizer.step()
        self.step += 1
        self.summed += value
        return value

    def _keep(self) -> None:
        """Write a checkpoint, and note how good it is."""
        path = self.folder / f"step-{self.step:06d}.safetensors"
        gpt.keep(self.model, self.shape, path, {"corpus": self.corpus.key, "step": self.step})
        validation = loss(gpt.read(path, _ADVICE), self.corpus.validation)
        before = self.kept[-1].step if self.kept else 0
        self.kept.append(
            Checkpoint(
                step=self.step,
                tokens=self.step * self.config.batch_size * self.shape.context,
                train_loss=self.summed / (self.step - before) if self.step else None,
                validation_loss=validation,
                validation_loss_per_byte=self.corpus.validation.per_byte(validation),
                seconds=self.seconds,
                file=path.name,
            )
        )
        self.summed = 0.0

    def _record(self) -> None:
        """Write the state, whole or not at all."""
        noted: dict[str, Any] = {"step": self.step, "seconds": self.seconds, "summed": self.summed}
        noted["kept"] = [asdict(one) for one in self.kept]
        tensors.write(self.path, self._state(), noted)

    def _resume(self) -> None:
        found, noted = tensors.read(self.path, _ADVICE)
        with torch.no_grad():
            for name, tensor in self._state().items():
                tensor.copy_(found[name])
        self.step, self.seconds, self.summed = noted["step"], noted["seconds"], noted["summed"]
        self.kept = [Checkpoint(**one) for one in noted["kept"]]

    def _state(self) -> dict[str, Tensor]:
        """The tensors that change in a step, by name: the very tensors, no copies."""
        state = {"count": self.optimizer.count}
        averages = zip(self.optimizer.means, self.optimizer.squares, strict=True)
        for (name, weight), (mean, square) in zip(gpt.weights(self.model).items(), averages, strict=True):
            state |= {f"weight {name}": weight, f"mean {name}": mean, f"square {name}": square}
        return state


def _as_tensor(stream: Stream) -> Tensor:
    return torch.from_numpy(stream.tokens.astype("int64"))


def _loss(model: "GPT2LMHeadModel", x: Tensor, y: Tensor) -> Tensor:
    """The mean loss over tokens x, y (B, T)."""
    return F.cross_entropy(model(input_ids=x).logits.flatten(0, 1).float(), y.flatten())
