"""What is known of texts without a network: the most frequent class, and a bag of words."""

from collections.abc import Sequence

import numpy as np


def word_baselines(
    train: Sequence[str], train_labels: Sequence[int], test: Sequence[str], test_labels: Sequence[int]
) -> dict[str, float]:
    """Accuracies on the test texts, as shares from 0 to 1.

    - "majority": always the most frequent class of the training texts, the lowest of several.
    - "bag_of_words": a logistic regression on the words' tf-idf. Single letters, digits and marks are words, too.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    known, truth = np.asarray(train_labels), np.asarray(test_labels)
    for part, texts, labels in (("train", train, known), ("test", test, truth)):
        if len(texts) != len(labels) or not len(texts):
            raise ValueError(f"{part}: texts must have a label each, got {len(texts)} texts and {len(labels)} labels")
    classes, counts = np.unique(known, return_counts=True)
    if len(classes) < 2:
        raise ValueError(f"the training labels must have two classes or more, got {classes.tolist()}")
    words = TfidfVectorizer(token_pattern=r"\w+|[^\w\s]")
    model = make_pipeline(words, LogisticRegression(C=10.0, max_iter=1000)).fit(train, known)
    return {
        "majority": float((truth == classes[counts.argmax()]).mean()),
        "bag_of_words": float((model.predict(test) == truth).mean()),
    }
