"""Rich's console for the names that come from a file of somebody's, see ``terminal``."""

from collections.abc import Iterable

import rich.console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment

from experiments.terminal import CONTROL, escaped


class Console(rich.console.Console):
    """Rich's console, which escapes control characters in what it is given and writes its own."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Segments of a renderable."""
        for segment in super().render(renderable, options):
            if segment.control or not CONTROL.search(segment.text):
                yield segment
            else:
                yield Segment(escaped(segment.text), segment.style)
