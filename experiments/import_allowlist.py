"""Which classes a configuration or a checkpoint may name: ours, those of the libraries, and whom the user trusts."""

import sys
import tomllib
from importlib import import_module
from pathlib import Path

from jsonargparse import set_parsing_settings

KNOWN = (
    "datamodules",
    "experiments",
    "lit_models",
    "lightning.pytorch",
    "torch.nn",
    "torch.optim",
    "torchmetrics",
)

_trusted: set[str] = set()
"""By earlier commands of this process."""


class TrustError(ValueError):
    """A package to trust that is not there."""


def of_project(folder: Path) -> list[str]:
    """What ``[tool.evenhand] trust`` of the folder's pyproject.toml names.

    Raises:
        TrustError: Where it is no list of package names.
    """
    path = folder / "pyproject.toml"
    try:
        project = tomllib.loads(path.read_text())
    except OSError:
        return []
    except ValueError as error:
        raise TrustError(f"{path.name} cannot be read: {error}") from error
    packages = project.get("tool", {}).get("evenhand", {}).get("trust", [])
    if not isinstance(packages, list) or not all(isinstance(one, str) for one in packages):
        raise TrustError(f"[tool.evenhand] trust in {path.name} is {packages!r}; it is a list of package names")
    return packages


def allow(packages: list[str]) -> None:
    """Refuse every class path but those of ``KNOWN`` and of these packages, and import the packages.

    The packages of the project in the working directory are added, see ``of_project``.

    Raises:
        TrustError: For a package that cannot be imported.
    """
    packages = [*packages, *of_project(Path())]
    # Lightning's own ReduceLROnPlateau lives in the module of its command line, which nobody has to name.
    before = [package for package in _trusted if package not in packages]  # jsonargparse adds, and never forgets
    _trusted.update(packages)
    denied = ["*", "lightning.pytorch.cli", *before]
    set_parsing_settings(import_path_denylist=denied, import_path_allowlist=[*KNOWN, *packages])
    if packages and "" not in sys.path:  # python -m looks here first, the installed command not at all
        sys.path.append("")
    for package in packages:
        try:
            import_module(package)
        except ImportError as error:
            raise TrustError(f"--trust {package}: {error}; install it, or run from the folder that holds it") from error
