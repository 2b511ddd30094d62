"""Predictions with their targets: classes, labels or values, as ``Task.outcome`` returns them for figures."""

from dataclasses import dataclass

from torch import Tensor

SMALLEST = 1e-12  # smallest probability in a row's loss


@dataclass(frozen=True)
class Classes:
    """One of several classes per row."""

    probabilities: Tensor  # (N, K), those of a row sum to 1
    target: Tensor  # (N,) class indices
    binary: bool = False  # class 1 against class 0
    threshold: float = 0.5  # probability of class 1 above which a row of two classes is of it

    def predicted(self) -> Tensor:
        """Returns the index (N,) of the predicted class."""
        return (self.probabilities[:, 1] > self.threshold).long() if self.binary else self.probabilities.argmax(dim=1)

    def true_probability(self) -> Tensor:
        """Returns the probability (N,) of each row's class."""
        return self.probabilities.gather(1, self.target.view(-1, 1)).squeeze(1)

    def losses(self) -> Tensor:
        """Returns the negative logarithm (N,) of the probability of each row's class."""
        return -self.true_probability().clamp(min=SMALLEST).log()

    def one_against_rest(self) -> dict[int, tuple[Tensor, Tensor]]:
        """Returns by class its probabilities (N,) and its rows (N,) bool; of two classes only the second."""
        classes = self.probabilities.shape[1]
        return {k: (self.probabilities[:, k], self.target == k) for k in range(int(classes == 2), classes)}


@dataclass(frozen=True)
class Labels:
    """Any number of labels per row."""

    probabilities: Tensor  # (N, L), independent of each other
    target: Tensor  # (N, L) of 0 and 1

    def true_probability(self) -> Tensor:
        """Returns the lowest probability (N,) among each row's labels; 1 for a row without a label."""
        return self.probabilities.where(self.target == 1, 1).amin(dim=1)

    def losses(self) -> Tensor:
        """Returns the mean binary cross-entropy (N,) over each row's labels."""
        right = self.probabilities.where(self.target == 1, 1 - self.probabilities)
        return -right.clamp(min=SMALLEST).log().mean(dim=1)

    def one_against_rest(self) -> dict[int, tuple[Tensor, Tensor]]:
        """Returns by label its probabilities (N,) and its rows (N,) bool."""
        labels = self.probabilities.shape[1]
        return {k: (self.probabilities[:, k], self.target[:, k] == 1) for k in range(labels)}


@dataclass(frozen=True)
class Values:
    """Values of regression."""

    prediction: Tensor  # (N, R) in the targets' own units
    target: Tensor  # (N, R)

    def losses(self) -> Tensor:
        """Returns the squared error (N,), a mean over outputs, each in standard deviations of its targets."""
        spread = self.target.std(dim=0, correction=0)
        return ((self.prediction - self.target) / spread.where(spread > 0, 1)).square().mean(dim=1)


Outcome = Classes | Labels | Values
