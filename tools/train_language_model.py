"""Train the book's language model, compare it with 5-grams, and publish it in data/encoders/reviews_gpt.

usage: python tools/train_language_model.py

It needs IMDB's reviews (LAYA_NB_DATA, or a network), takes an hour on two cores that multiply in bfloat16, several
hours on others, and is safe to stop and start again.
"""

import torch
from chapter_files import ROOT
from chapter_front import front

from laya_nb.analysis.ngrams import KneserNey
from laya_nb.backbones import gpt
from laya_nb.data import corpus
from laya_nb.training.language import BOOK, train
from laya_nb.training.publication import publish


def main() -> None:
    reviews = corpus.reviews()
    print(f"{reviews.train.predicted:,} tokens to train on, {reviews.validation.predicted:,} to validate", flush=True)
    ngrams = KneserNey(reviews.train.tokens, 5, reviews.vocabulary_size).loss(reviews.validation.tokens)
    print(f"5-grams: {ngrams:.4f} per token, {reviews.validation.per_byte(ngrams):.4f} per byte", flush=True)
    folder, kept = train(reviews, BOOK)
    for one in kept:
        print(f"step {one.step}: {one.validation_loss:.4f} per token, {one.validation_loss_per_byte:.4f} per byte")
    publish(reviews, folder, kept, BOOK, ngrams, torch.get_num_threads(), ROOT / "data" / gpt.PUBLISHED)
    front()  # the list of published files' checksums
    print(f"published in data/{gpt.PUBLISHED}; the checkpoints are in {folder}")


if __name__ == "__main__":
    main()
