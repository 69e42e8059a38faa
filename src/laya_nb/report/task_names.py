"""What tables and figures call tasks and heads on frozen networks."""

from collections.abc import Sequence

from laya_nb.data import tasks, text_tasks

TITLES = {
    "cifar10_jpeg": "object",
    "cifar10_coarse": "animal or vehicle",
    "fashion_mnist": "garment",
    "letters": "letter",
    "rendering": "rendering",
    "rotation": "quarter turn",
    "pictures/class": "what it shows",
    "pictures/rendering": "how it looks",
    "pictures/turn": "which way up",
    "world/count": "how many",
    "world/position": "where",
    "world/orientation": "which way",
    "world/size": "how large",
    "world/colour": "which colour",
    "world/shape": "which shape",
    "imdb": "praise or blame",
    "question": "question or statement",
    "number": "has a number",
    "tense": "present or past",
    "bigram_shift": "words swapped",
    "odd_word": "word replaced",
    "length": "how many words",
    "place": "first or last sentence",
    "library": "which library",
    "kind": "kind of object",
    "docs_number": "has a number (docs)",
    "docs_bigram_shift": "words swapped (docs)",
    "docs_length": "how many words (docs)",
}


def title(task: str) -> str:
    """A task's short name; of one without, its own name."""
    return TITLES.get(task, task)


def chance(task: str) -> float:
    """The accuracy of guessing, in percent: classes are balanced."""
    classes = text_tasks.task(task).classes if task in text_tasks.TASKS else tasks.task(task).classes
    return 100 / len(classes)


def token_names(names: Sequence[str]) -> list[str]:
    """What heat maps write below the columns of tokens, ordered as `by_kind` orders them: the kind and a few depths."""
    kinds = list(dict.fromkeys(name.partition(":")[2] for name in names))
    depth = len(names) // len(kinds)
    shown = {depth // 4: str(depth // 4 + 1), depth // 2: str(depth // 2 + 1), 3 * depth // 4: str(3 * depth // 4 + 1)}
    return [f"{kind.upper()} 1".strip() if i == 0 else shown.get(i, "") for kind in kinds for i in range(depth)]


def by_kind(names: Sequence[str]) -> list[int]:
    """Where the hidden states stand if those read in one way come together, by depth: CLS 1..L, then AP 1..L."""
    kinds = list(dict.fromkeys(name.partition(":")[2] for name in names))
    return [i for kind in kinds for i, name in enumerate(names) if name.partition(":")[2] == kind]
