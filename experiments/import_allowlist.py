"""Allow-list of import paths in configurations and checkpoints: this package, its libraries, and trusted packages."""

import os
import sys
import tomllib
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from jsonargparse import set_parsing_settings

from datamodules.regular_file import check_regular
from experiments.allowed_classes import install, is_below
from experiments.terminal import say

ALLOWED = (
    "datamodules",
    "experiments",
    "lit_models",
    "lightning.pytorch",
    "torch.nn",
    "torch.optim",
    "torchmetrics",
)

CLI = "lightning.pytorch.cli"
"""Denied, although it is below an allowed package: no configuration needs a class of Lightning's command line."""

_previous: set[str] = set()
"""Packages that earlier commands of this process trusted."""

_trusted: set[str] = set()
"""Packages that the current command trusts."""


class TrustError(ValueError):
    """Error for a trusted package that cannot be imported, or is named wrongly."""


def project_packages(folder: Path) -> list[str]:
    """Returns the packages of ``[tool.evenhand] trust`` in the folder's pyproject.toml.

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
    """Returns True if the command may read trusted packages from the folder's pyproject.toml.

    The current folder may come from another person if a verb opens a run or an artefact, or if fit resumes from a
    ``checkpoint`` outside of the folder's ``runs/``, which "last" is not.
    """
    return words[:1] in (["fit"], ["sweep"], ["floor"], ["inspect"]) and (
        checkpoint in (None, "last") or Path(str(checkpoint)).resolve().is_relative_to(Path("runs").resolve())
    )


def module_name(file: str) -> str:
    """Returns the module of a Python file as an import statement names it, ``a.b`` for ``a/b.py``."""
    return ".".join(part for part in Path(file).with_suffix("").parts if part.isidentifier())


def allow(packages: list[str], project: Path | None = None) -> None:
    """Imports trusted packages or classes, and denies import paths outside of them and of ``ALLOWED``.

    The pyproject.toml of the folder ``project`` is read too; a line on stderr lists its packages.

    Raises:
        TrustError: If a word is no package's name, or a package cannot be imported.
    """
    found = [] if project is None else [package for package in project_packages(project) if package not in packages]
    options = dict.fromkeys(found, "[tool.evenhand] trust in pyproject.toml") | dict.fromkeys(packages, "--trust")
    for package, option in options.items():
        words = package.split(".")
        if words[-1] == "py" and "." in package:
            module = module_name(package)
            raise TrustError(f"{option} {package} is a file; name its module as Python imports it, {module}")
        if not all(word.isidentifier() for word in words) or words[0] == "jsonargparse":
            raise TrustError(f"{option} {package!r}: this is no package's name; write one as Python imports it, a.b")
    if found and os.environ.get("LOCAL_RANK", "0") == "0":  # once, not per device
        say(f"trusted by {Path('pyproject.toml').absolute()}: {', '.join(found)}", sys.stderr)
    packages = [*packages, *found]
    # jsonargparse never removes a path from its allow-list. Classes of ALLOWED are checked one by one.
    expired = [
        path for path in _previous - {*packages} if not is_below(path, [*ALLOWED, *packages]) or is_below(path, [CLI])
    ]
    # A denied class stays denied in a package that is trusted later, unless it is named.
    packages_and_classes = [*packages, *(path for path in _previous if is_below(path, packages))]
    set_parsing_settings(
        import_path_denylist=["*", CLI, *expired], import_path_allowlist=[*ALLOWED, *packages_and_classes]
    )
    _previous.update(packages)
    _trusted.clear()
    _trusted.update(packages)
    install(_trusted)
    if packages and "" not in sys.path:  # python -m has it first, the installed command not at all
        sys.path.append("")
    for package in packages:
        _import(package)


def _import(package: str) -> None:
    """Imports a package, or the module of a class."""
    try:
        import_module(package)
        return
    except ImportError as error:
        owner, _, name = package.rpartition(".")
        if isinstance(error, ModuleNotFoundError) and error.name == package and owner:
            with suppress(ImportError):
                if hasattr(import_module(owner), name):
                    return
        hint = "; install it, or run from the folder that holds it" if isinstance(error, ModuleNotFoundError) else ""
        raise TrustError(f"--trust {package}: {error}{hint}") from error
