"""Finds Evenhand's packages by their location: a project may have folders of the same names."""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

PACKAGES = ("datamodules", "experiments", "lit_models")

HOME = Path(__file__).resolve().parents[1]
"""Folder that contains this package and ``PACKAGES``."""


class OwnPackages(MetaPathFinder):
    """Finder of ``PACKAGES`` in ``HOME``, ahead of ``sys.path``."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns where a package or its module is, None for other packages.

        Raises ``ImportError`` for a module that only another package of the same name may have.
        """
        package = fullname.partition(".")[0]
        if package not in PACKAGES:
            return None
        spec = PathFinder.find_spec(fullname, [str(HOME)] if path is None else path)
        if spec is None and (other := _other(package)):
            raise ImportError(
                f"{fullname} cannot be imported: the package {package} of this process is Evenhand's, and {other} has "
                "the same name; rename that folder, or import it in a process without Evenhand"
            )
        return spec


def use_own_packages() -> None:
    """Makes the names of ``PACKAGES`` Evenhand's in this process.

    Raises ``ImportError`` if one is another package's already.
    """
    for package in PACKAGES:
        for folder in getattr(sys.modules.get(package), "__path__", ()):
            if not _is_home(Path(folder).parent):
                raise ImportError(
                    f"evenhand cannot be imported: it has a package {package}, and {folder} has the same name and was "
                    "imported first; rename that folder, or import evenhand in another process"
                )
    if not any(isinstance(finder, OwnPackages) for finder in sys.meta_path):
        sys.meta_path.insert(0, OwnPackages())


def _other(package: str) -> str | None:
    """Returns the folder of another package of this name on ``sys.path``."""
    spec = PathFinder.find_spec(package, [entry for entry in sys.path if not _is_home(Path(entry))])
    return next(iter(spec.submodule_search_locations or ()), None) if spec else None


def _is_home(folder: Path) -> bool:
    return folder.resolve() == HOME
