"""Rich's console with control characters escaped, see ``terminal``."""

from collections.abc import Iterable

import rich.console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from typing_extensions import override

from experiments.terminal import CONTROL, escaped


class Console(rich.console.Console):
    """Escapes control characters of rendered texts, but not Rich's own."""

    @override
    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control or not CONTROL.search(segment.text):
                yield segment
            else:
                yield Segment(escaped(segment.text), segment.style)
