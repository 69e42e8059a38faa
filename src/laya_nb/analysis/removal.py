"""Taking layers away from a trained head: what it says without them, under several meanings of 'without'.

A way of removal is a function from `kept` (N, L), bool, to probabilities (N, C), for N examples whose hidden states it
holds. All of them change what the head reads and leave the backbone as it is: what they measure is the *direct* effect
of a layer. `tail_swapped` measures the *total* effect, which includes what later layers make of it.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from laya_nb.heads import Head, LayerDropoutLAYAHead
from laya_nb.support.threads import side_by_side

Removal = Callable[[Tensor], Tensor]
States = Sequence[Tensor]  # h_1..h_L, h_i of shape (N, d_i)


def masked(head: Head, states: States) -> Removal:
    """Removed layers get no weight, the others share it all in their old proportion. The scores stay as they are.

    The mildest of all: every sum is one of vectors that the classifier knows.

    Raises:
        ValueError: for a head without weights.
    """
    mixture = head.mixture(states)
    return lambda kept: F.softmax(mixture.logits(mixture.masked(kept)), dim=1)


def replaced(head: Head, states: States, by: States) -> Removal:
    """Removed layers show something else: one vector (d_i,) for all examples, or one for each (N, d_i).

    With zeros this is a trap: an adapter makes its bias of them, not nothing, and the scorer sees what it never saw.
    """
    return lambda kept: F.softmax(head(_shown(states, by, kept)).logits, dim=1)


def resampled(head: Head, states: States, donors: States, rows: Tensor) -> Removal:
    """Removed layers show those of other examples; probabilities are means over K draws.

    Args:
        head, states: the trained head, and hidden states of N examples.
        donors: hidden states of other examples, (R, d_i).
        rows: (N, K), which of the R examples stand in. All removed layers come from one of them.
    """

    def probabilities(kept: Tensor) -> Tensor:
        draws = [replaced(head, states, [donor[row] for donor in donors])(kept) for row in rows.T]
        return torch.stack(draws).mean(dim=0)

    return probabilities


def dropped(head: LayerDropoutLAYAHead, states: States) -> Removal:
    """A head that was trained with layer dropout is told which layers count: it knows every subset from training."""
    return lambda kept: F.softmax(head(states, kept).logits, dim=1)


def tail_swapped(head: Head, states: States, donors: States, rows: Tensor) -> Tensor:
    """The total effect of a layer: another example's output from layer i on, (N, L, C), means over K draws.

    For backbones in which each layer reads only the layer before, as all of this book do. Whoever has another output of
    layer i in such a network has all later hidden states of that other example, so nothing need be run again.
    """
    layers, n = len(states), len(states[0])
    kept = torch.ones(n, layers, dtype=torch.bool, device=states[0].device)
    found = []
    for layer in range(layers - 1, -1, -1):
        kept = kept.clone()
        kept[:, layer] = False
        found.append(resampled(head, states, donors, rows)(kept))
    return torch.stack(found[::-1], dim=1)


def draw_rows(groups: Tensor, donor_groups: Tensor, draws: int, generator: torch.Generator) -> Tensor:
    """For each of N examples, `draws` random rows of the donors that belong to the same group, (N, draws).

    With one group for all this is a draw from all donors. Where a group has no donor, all donors stand in.

    Args:
        groups: (N,), the groups of the examples: their predicted classes, say.
        donor_groups: (R,), those of the donors.
        draws: K.
        generator: of the draws.
    """
    fits = groups.unsqueeze(1) == donor_groups.unsqueeze(0)
    fits[~fits.any(dim=1)] = True
    return torch.multinomial(fits.float(), draws, replacement=True, generator=generator)


@torch.enable_grad()
def optimal_constants(head: Head, states: States, labels: Tensor, steps: int = 60) -> list[Tensor]:
    """For every layer the vector (d_i,) that costs least when it stands in for the layer in all examples.

    Found by Adam on the cross-entropy, from the mean on, for each layer with the others as they are (the optimal
    constant of arXiv 2409.09951).
    """
    adapters, rest = head.split()
    adapted = [adapter(h).detach() for adapter, h in zip(adapters, states, strict=True)]

    def of(layer: int) -> Tensor:
        constant = states[layer].mean(dim=0).clone().requires_grad_()
        optimizer = torch.optim.Adam([constant], lr=0.05 * float(states[layer].std().clamp(min=1e-6)))
        best, lowest = constant.detach().clone(), torch.inf
        for _ in range(steps):
            shown = [*adapted[:layer], adapters[layer](constant).expand_as(adapted[layer]), *adapted[layer + 1 :]]
            loss = F.cross_entropy(rest(shown).logits, labels)
            if loss.item() < lowest:
                best, lowest = constant.detach().clone(), loss.item()
            (constant.grad,) = torch.autograd.grad(loss, [constant])
            optimizer.step()
        return best

    return side_by_side(of, range(len(states)))


def _shown(states: States, by: States, kept: Tensor) -> list[Tensor]:
    return [torch.where(kept[:, i, None], h, other) for i, (h, other) in enumerate(zip(states, by, strict=True))]
