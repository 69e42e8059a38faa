"""Publish a language model: its weights, its tokenizer, and a card that says what is to be known of them."""

import json
from collections.abc import Sequence
from pathlib import Path

from laya_nb.backbones import gpt
from laya_nb.data.corpus import Corpus
from laya_nb.support.files import DataError, write_whole
from laya_nb.training.language import Checkpoint, LanguageConfig

LARGEST = 20_000_000  # bytes, of a file in the repository

_CARD = """\
# reviews_gpt: a small language model of film reviews

A causal transformer: Transformers' `GPT2LMHeadModel` with {blocks} blocks, {width} wide, {heads} attention heads, a \
context of {context} tokens, and input embeddings that are its output embeddings too. {parameters:,} parameters, kept \
in half precision. It was made for this book, to follow measures of representations through a decoder and through its \
training.

| | |
|---|---|
| data | {texts:,} reviews of the training part of the Large Movie Review Dataset (Maas et al. 2011), {size:,} bytes |
| tokenizer | byte-level byte pairs made from these reviews, {vocabulary_size:,} tokens, {bytes_per_token:.2f} bytes \
per token; an end of text stands before each review |
| training | {tokens:,} tokens seen, {passes:.1f} passes over {predicted:,}; AdamW, learning rate {learning_rate:g} \
after {warm_up} steps of warm-up, then a cosine to {final_share:.0%} of it, weight decay {weight_decay:g}, gradients \
clipped at {clip_norm:g}, {steps:,} steps of {batch_size} sequences, {precision}, seed {seed} |
| time | {minutes:.0f} minutes on {threads} threads of a CPU, without validation |

## How good it is

On {held_out:,} reviews that were held out ({held_out_size:,} bytes), cut into sequences of {context} tokens; losses \
in nats, ends of text included:

| | per token | per byte |
|---|---|---|
| this model | {loss:.4f} | {loss_per_byte:.4f} |
| 5-grams of the same tokens, interpolated, modified Kneser-Ney | {ngrams:.4f} | {ngrams_per_byte:.4f} |

Along its training:

| step | tokens seen | training loss per token | validation loss per token |
|---|---|---|---|
{history}

## What it is for, and what it is not for

Reading its hidden states: `features.load("imdb/reviews_gpt")`. It is far too small to write, it knows nothing but \
film reviews in English, and it repeats what these say of people. The reviews of IMDB's training part that the book's \
probes learn from are those that it was trained on, without their labels; the reviews of the test part it has not seen.

## Licence

MIT, as the rest of the project. The reviews belong to their authors; their collection is given out for research.
"""


def publish(
    corpus: Corpus,
    folder: Path,
    kept: Sequence[Checkpoint],
    config: LanguageConfig,
    ngrams: float,
    threads: int,
    target: Path,
) -> None:
    """Write the last checkpoint of a training, its tokenizer and its card into a folder.

    Args:
        corpus: what it was trained on.
        folder, kept: what `train` returned.
        config: how it was trained.
        ngrams: the 5-grams' validation loss per token.
        threads: with which it was trained.
        target: where to publish; files of the same names are replaced.

    Raises:
        DataError: for a damaged checkpoint, and one that is too large for the repository.
    """
    last, path = kept[-1], folder / kept[-1].file
    model = gpt.read(path, "train again")
    if (size := path.stat().st_size) > LARGEST:
        raise DataError(f"{path} has {size:,} bytes, at most {LARGEST:,} are published; take a smaller shape")
    shape = gpt.read_shape(path, "train again")
    card = _CARD.format(
        **vars(shape) | vars(config),
        parameters=model.num_parameters(),
        texts=corpus.train.texts,
        size=corpus.train.size,
        bytes_per_token=corpus.train.size / corpus.train.predicted,
        tokens=last.tokens,
        passes=last.tokens / corpus.train.predicted,
        predicted=corpus.train.predicted,
        minutes=last.seconds / 60,
        threads=threads,
        precision="weights in float32, matrix products in bfloat16" if config.bfloat16 else "float32",
        held_out=corpus.validation.texts,
        held_out_size=corpus.validation.size,
        loss=last.validation_loss,
        loss_per_byte=last.validation_loss_per_byte,
        ngrams=ngrams,
        ngrams_per_byte=corpus.validation.per_byte(ngrams),
        history="\n".join(_row(one) for one in kept),
    )
    for name, content in (
        (gpt.MODEL, path.read_bytes()),
        (gpt.TOKENIZER, _indented(corpus)),
        (gpt.CARD, card.encode()),
    ):
        _write(target / name, content)


def _write(path: Path, content: bytes) -> None:
    write_whole(path, lambda unfinished: unfinished.write_bytes(content))


def _row(one: Checkpoint) -> str:
    learned = "" if one.train_loss is None else f"{one.train_loss:.4f}"
    return f"| {one.step:,} | {one.tokens:,} | {learned} | {one.validation_loss:.4f} |"


def _indented(corpus: Corpus) -> bytes:
    return json.dumps(json.loads(corpus.tokenizer), ensure_ascii=False, indent=0).encode()
