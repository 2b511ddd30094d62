"""Which classes a configuration or a checkpoint may name: ours, those of the libraries, and whom the user trusts."""

import os
import sys
import tomllib
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from jsonargparse import set_parsing_settings

from datamodules.regular_file import check_regular
from experiments import allowed_classes
from experiments.terminal import say

ALLOWED_PACKAGES = (
    "datamodules",
    "experiments",
    "lit_models",
    "lightning.pytorch",
    "torch.nn",
    "torch.optim",
    "torchmetrics",
)

CLI = "lightning.pytorch.cli"
"""Lightning's own ReduceLROnPlateau is in the module of its command line, which nobody has to name."""

_trusted: set[str] = set()
"""By earlier commands of this process."""

_of_this_command: set[str] = set()


class TrustError(ValueError):
    """A package to trust that is not there."""


def of_project(folder: Path) -> list[str]:
    """Packages that ``[tool.evenhand] trust`` of the folder's pyproject.toml names.

    Raises:
        TrustError: If it is no list of package names.
    """
    path = folder / "pyproject.toml"
    try:
        check_regular(path)
        project = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        return []
    except (ValueError, RecursionError) as error:
        raise TrustError(f"{path.name} cannot be read: {error}") from error
    tool = project.get("tool", {})
    section = tool.get("evenhand", {}) if isinstance(tool, dict) else {}
    packages = section.get("trust", []) if isinstance(section, dict) else []
    if not isinstance(packages, list) or not all(isinstance(package, str) for package in packages):
        raise TrustError(f"[tool.evenhand] trust in {path.name} is {packages!r}; it is a list of package names")
    return packages


def project_applies(words: list[str], checkpoint: str | None) -> bool:
    """Returns True for commands of a person's own project, which its pyproject.toml may trust a package for.

    These are fit, sweep, floor and inspect. Every verb that opens a run or an artefact, and a fit that goes on from a
    checkpoint outside of the project's ``runs/``, may have been started in a folder that somebody else made.

    Args:
        words: The command line's, the verb first.
        checkpoint: The typed ``--ckpt_path``; None or "last" where the run is looked for in ``runs/``.
    """
    if words[:1] not in (["fit"], ["sweep"], ["floor"], ["inspect"]):
        return False
    if checkpoint is None or checkpoint == "last":
        return True
    return Path(checkpoint).resolve().is_relative_to((Path() / "runs").resolve())


def allow(packages: list[str], project: Path | None = None) -> None:
    """Refuse every class path but those of ``ALLOWED_PACKAGES`` and of these packages, and import the packages.

    Args:
        packages: Packages, or classes of theirs, that the user named.
        project: Folder whose pyproject.toml is read as well, see ``of_project``; a line on stderr names its packages.

    Raises:
        TrustError: For a word that is no package's name, or a package that cannot be imported.
    """
    for package in packages:
        _check_name(package, "--trust")
    found = [] if project is None else [package for package in of_project(project) if package not in packages]
    for package in found:
        _check_name(package, "[tool.evenhand] trust in pyproject.toml")
    if found and os.environ.get("LOCAL_RANK", "0") == "0":  # the processes of the other devices say nothing twice
        say(f"trusted by {Path('pyproject.toml').absolute()}: {', '.join(found)}", sys.stderr)
    packages = [*packages, *found]
    # jsonargparse adds, and never forgets; of a package in ALLOWED_PACKAGES, classes are checked one by one
    before = [
        name for name in _trusted - {*packages} if not _is_below(name, ALLOWED_PACKAGES) or _is_below(name, [CLI])
    ]
    set_parsing_settings(import_path_denylist=["*", CLI, *before], import_path_allowlist=[*ALLOWED_PACKAGES, *packages])
    _trusted.update(packages)
    _of_this_command.clear()
    _of_this_command.update(packages)
    allowed_classes.install(_of_this_command)
    if packages and "" not in sys.path:  # python -m looks here first, the installed command not at all
        sys.path.append("")
    for package in packages:
        _import(package)


def _is_below(package: str, owners: Iterable[str]) -> bool:
    return any(f"{package}.".startswith(f"{owner}.") for owner in owners)


def _check_name(package: str, option: str) -> None:
    words = package.split(".")
    if not all(word.isidentifier() for word in words) or words[0] == "jsonargparse":
        raise TrustError(f"{option} {package!r}: this is no package's name; write one as Python imports it, a.b")


def _import(package: str) -> None:
    """Import a package, or the module that a class is in."""
    try:
        import_module(package)
        return
    except ImportError as error:
        owner, _, name = package.rpartition(".")
        if isinstance(error, ModuleNotFoundError) and error.name == package and owner:
            with suppress(ImportError):
                if hasattr(import_module(owner), name):
                    return
        raise TrustError(f"--trust {package}: {error}; install it, or run from the folder that holds it") from error
