"""A private attribute of Optuna, read in 4.5 and 5.0: resuming a trial of an earlier process has no public function."""

from optuna import Study
from optuna.trial import FrozenTrial, Trial


def resume_trial(study: Study, trial: FrozenTrial) -> Trial:
    """Returns a running trial of the study's storage as one that can report and be pruned."""
    return Trial(study, trial._trial_id)
