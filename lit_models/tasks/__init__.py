"""Tasks: loss, prediction and metrics of each kind of target, so that no other module branches on it."""

from lit_models.errors import ConfigError
from lit_models.tasks.base import Task, TaskName
from lit_models.tasks.classification import Binary, Multiclass, Multilabel
from lit_models.tasks.regression import Regression

__all__ = ["TASKS", "Binary", "Multiclass", "Multilabel", "Regression", "Task", "TaskName", "make_task"]

ALL: tuple[type[Task], ...] = (Binary, Multiclass, Multilabel, Regression)

TASKS: dict[TaskName, type[Task]] = {task.name: task for task in ALL}


def make_task(name: TaskName, num_outputs: int) -> Task:
    """Creates a task by its name; raises ``ConfigError`` for another name."""
    if name not in TASKS:
        raise ConfigError(f"task {name!r} is unknown; it is one of {', '.join(TASKS)}")
    return TASKS[name](num_outputs)
