"""Rich's console for the names that come from a file of somebody's, see ``terminal``."""

from collections.abc import Iterable
from typing import Any

import rich.console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment

from experiments.terminal import CONTROL, escaped


class Console(rich.console.Console):
    """Rich's console, which escapes control characters in what it is given and writes its own.

    Where the output is no terminal, no table is too wide: a number that is cut off is wrong.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if not self.is_terminal:
            self.width = 10_000

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Segments of a renderable."""
        for segment in super().render(renderable, options):
            if segment.control or not CONTROL.search(segment.text):
                yield segment
            else:
                yield Segment(escaped(segment.text), segment.style)
