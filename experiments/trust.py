"""Which classes a configuration or a checkpoint may name: ours, those of the libraries, and whom the user trusts."""

from importlib import import_module

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


class TrustError(ValueError):
    """A package to trust that is not there."""


def allow(packages: list[str]) -> None:
    """Refuse every class path but those of ``KNOWN`` and of these packages, and import the packages.

    Raises:
        TrustError: For a package that cannot be imported.
    """
    # Lightning's own ReduceLROnPlateau lives in the module of its command line, which nobody has to name.
    set_parsing_settings(import_path_denylist=["*", "lightning.pytorch.cli"], import_path_allowlist=[*KNOWN, *packages])
    for package in packages:
        try:
            import_module(package)
        except ImportError as error:
            raise TrustError(f"--trust {package}: {error}; install it, or run from the folder that holds it") from error


def take_trusted(words: list[str]) -> tuple[list[str], list[str]]:
    """The words without every ``--trust PACKAGE``, and the packages."""
    left: list[str] = []
    packages: list[str] = []
    remaining = iter(words)
    for word in remaining:
        if word == "--trust":
            packages.append(next(remaining, ""))
        elif word.startswith("--trust="):
            packages.append(word.partition("=")[2])
        else:
            left.append(word)
    return left, packages
