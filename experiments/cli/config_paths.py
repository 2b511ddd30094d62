"""The configurations that come with the package, under the paths that they have in the repository."""

import re
from pathlib import Path

PATH = re.compile(r"(?<![^=,\[\s])experiments/configs/[^\s=,\]]+")
PACKAGE = Path(__file__).parents[1]


def resolve(words: list[str]) -> list[str]:
    """The words, with ``experiments/configs/...`` found in the package where it is not beneath this folder.

    So a command of the documentation is the same in a checkout and in an empty folder with only the wheel installed.
    """

    def found(path: re.Match[str]) -> str:
        inside = PACKAGE.parent / path[0]
        return path[0] if Path(path[0]).exists() or not inside.exists() else str(inside)

    return [PATH.sub(found, word) for word in words]
