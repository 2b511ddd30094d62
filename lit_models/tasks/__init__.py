"""Tasks: loss, prediction and metrics of each kind of target.

A network returns (N, num_outputs) numbers for any task. Everything that depends on the task is here, one file per task,
so that no other module branches on it.
"""

from lit_models.errors import ConfigError
from lit_models.tasks.base import Task, TaskName
from lit_models.tasks.binary import Binary
from lit_models.tasks.multiclass import Multiclass
from lit_models.tasks.multilabel import Multilabel
from lit_models.tasks.regression import Regression

__all__ = ["TASKS", "Binary", "Multiclass", "Multilabel", "Regression", "Task", "TaskName", "make_task"]

TASKS: dict[TaskName, type[Task]] = {
    "binary": Binary,
    "multiclass": Multiclass,
    "multilabel": Multilabel,
    "regression": Regression,
}


def make_task(name: TaskName, num_outputs: int) -> Task:
    """Creates a task by its name; raises ``ConfigError`` for another name."""
    if name not in TASKS:
        raise ConfigError(f"task {name!r} is unknown; it is one of {', '.join(TASKS)}")
    return TASKS[name](num_outputs)
