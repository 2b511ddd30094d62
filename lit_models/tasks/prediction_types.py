"""What predictions and targets are, whatever the task that made them: one class of several, labels, or values.

A task says which (``Task.outcome``), and whoever shows predictions to a person asks no more than that.
"""

from dataclasses import dataclass

from torch import Tensor

SMALLEST = 1e-12
"""A probability below it counts as this much in a row's loss."""


@dataclass(frozen=True)
class Classes:
    """One class of several a row.

    Args:
        probabilities: (N, K), those of a row sum to 1.
        target: (N,) class indices.
    """

    probabilities: Tensor
    target: Tensor

    def losses(self) -> Tensor:
        """The negative logarithm (N,) of the probability of the row's class."""
        return -self.probabilities.gather(1, self.target.view(-1, 1)).squeeze(1).clamp(min=SMALLEST).log()

    def one_against_rest(self) -> dict[int, tuple[Tensor, Tensor]]:
        """By class, its probabilities (N,) and whether a row has it (N,); of two classes only the second."""
        classes = self.probabilities.shape[1]
        return {one: (self.probabilities[:, one], self.target == one) for one in range(int(classes == 2), classes)}


@dataclass(frozen=True)
class Labels:
    """Any number of labels a row.

    Args:
        probabilities: (N, L), each on its own.
        target: (N, L) of 0 and 1.
    """

    probabilities: Tensor
    target: Tensor

    def losses(self) -> Tensor:
        """The mean binary cross-entropy (N,) over a row's labels."""
        right = self.probabilities.where(self.target == 1, 1 - self.probabilities)
        return -right.clamp(min=SMALLEST).log().mean(dim=1)

    def one_against_rest(self) -> dict[int, tuple[Tensor, Tensor]]:
        """By label, its probabilities (N,) and whether a row has it (N,)."""
        labels = self.probabilities.shape[1]
        return {one: (self.probabilities[:, one], self.target[:, one] == 1) for one in range(labels)}


@dataclass(frozen=True)
class Values:
    """Numbers.

    Args:
        prediction: (N, R) in the targets' own units.
        target: (N, R).
    """

    prediction: Tensor
    target: Tensor

    def losses(self) -> Tensor:
        """The squared error (N,), a mean over outputs, each in standard deviations of its targets."""
        spread = self.target.std(dim=0, correction=0)
        return ((self.prediction - self.target) / spread.where(spread > 0, 1)).square().mean(dim=1)


Outcome = Classes | Labels | Values
