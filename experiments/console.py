"""Rich's console with control characters escaped, see ``terminal``."""

from collections.abc import Iterable
from typing import Any

import rich.console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from typing_extensions import override

from experiments.terminal import CONTROL, discard, escaped


class Console(rich.console.Console):
    """Console that escapes control characters of rendered texts, but not Rich's own.

    Output that is not a terminal is as wide as its tables, and no line is cut off: a number that is cut off is wrong.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if not self.is_terminal:
            self.width = 10_000

    @override
    def print(self, *objects: Any, **options: Any) -> None:
        try:
            super().print(*objects, **{"crop": False} | options)
        except OSError:  # a full disk
            discard(self.file)

    @override
    def on_broken_pipe(self) -> None:
        discard(self.file)

    @override
    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control or not CONTROL.search(segment.text):
                yield segment
            else:
                yield Segment(escaped(segment.text), segment.style)
