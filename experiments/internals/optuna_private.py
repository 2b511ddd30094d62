"""Private parts of Optuna, read in 4.5 and 5.0: resuming a trial of an earlier process has no public function."""

from collections.abc import Mapping

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, Trial


def resume_trial(study: Study, trial: FrozenTrial, space: Mapping[str, BaseDistribution]) -> Trial:
    """Returns a running trial of the study's storage as one that can report and be pruned.

    A process that was killed while it drew the settings has stored some of them; the others are drawn now.
    """
    resumed = Trial(study, trial._trial_id)
    for name, distribution in space.items():
        resumed._suggest(name, distribution)
    return resumed
