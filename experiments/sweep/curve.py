"""A run's validation metric, epoch for epoch, from the event files that TensorBoard reads."""

from pathlib import Path

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader


class Curve:
    """Grows while the run goes on.

    Args:
        path: The run's folder.
        name: Of the scalar, ``val/accuracy``.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self._loaders: dict[Path, EventFileLoader] = {}
        self._values: dict[int, float] = {}

    def values(self) -> list[float]:
        """One value for each validation until now; what a resumed run logged again counts once."""
        for file in sorted(self.path.glob("events.out.tfevents.*")):
            loader = self._loaders.setdefault(file, EventFileLoader(str(file)))
            for event in loader.Load():
                for value in event.summary.value:
                    if value.tag == self.name:
                        number = value.tensor.float_val[0] if value.tensor.float_val else value.simple_value
                        self._values[event.step] = float(number)
        return [self._values[step] for step in sorted(self._values)]
