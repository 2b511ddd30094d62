"""``evenhand.fit``: the command ``evenhand fit`` as a function, in this process."""

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities.seed import isolate_rng
from typing_extensions import override

import experiments.__main__  # noqa: F401  # sets variables that are read when torch is loaded
from evenhand.api.command_words import Words, add_data
from evenhand.api.run_results import Run, Runs
from experiments.cli.arguments import find_packaged_configs
from experiments.cli.entry_point import perform, quieten, user_error
from experiments.cli.lightning_cli import EvenhandCLI
from experiments.cli.typed_settings import typed_text
from experiments.exit_codes import Refused
from experiments.run.record.run_directory import root_of
from lit_models import ConfigError


class OneProcessFit(EvenhandCLI):
    """A fit on one device: for more Lightning starts the program of this process again, which may be a notebook's."""

    @override
    def before_fit(self) -> None:
        """Refuses several devices."""
        if self.trainer.world_size > 1:
            raise ConfigError(
                f"evenhand.fit trains on one device, and these settings are for {self.trainer.world_size} processes; "
                "type evenhand fit in a shell"
            )
        super().before_fit()


def fit(
    data: Any = None,
    model: str | type | None = None,
    *,
    target: str | Sequence[str] | None = None,
    seeds: int | Iterable[int] | None = None,
    settings: Mapping[str, Any] | None = None,
    trust: Sequence[str] = (),
    quiet: bool = False,
) -> Runs:
    """Trains a model as ``evenhand fit`` does, in this process and on one device, and records a run for each seed.

    Random states, the environment and the filters of warnings are afterwards as they were before.

    Args:
        data: Name or class of a data set; path of a file or folder; frame of polars or pandas, or dictionary of
            columns; or a pair (X, y): a frame or an array (N, F), (N, C, T) of series, (N, H, W, C) of images, or
            (N, H, W) of grey ones in bytes, and targets. Frames and arrays are kept in ``runs/data``, where later
            commands find them.
        model: Name or class of an architecture; chosen by the data if left out.
        target: Target columns of a path or frame, or names of those of ``y``.
        seeds: Training seeds, or their number n for 0 to n - 1; by default one seed is drawn.
        settings: Further options of ``evenhand fit`` by their names, as in ``{"model.dropout": 0.1}``.
        trust: Packages of classes that ``settings`` name; that of a class as ``data`` or ``model`` needs none.
        quiet: Print nothing.

    Returns:
        The runs, in the order of the seeds; none for a ``fast_dev_run``, which leaves no folder.

    Raises:
        ConfigError, DataError: For settings or data that cannot be used.
        Diverged: If the loss is no longer finite.
        KeyboardInterrupt: After Ctrl-C; the run is saved, and ``settings={"run": NAME}`` resumes it.
    """
    words = Words(trust=[trust] if isinstance(trust, str) else [*trust])
    for name, value in (settings or {}).items():
        words.add(name, value)
    if data is not None:
        add_data(words, data, target, root_of(typed_text(["fit", *words.words()], "trainer", "default_root_dir")))
    elif target is not None:
        words.add("data.target", target if isinstance(target, str) else [*target])
    if model is not None:
        words.add("model", model)
    numbers = range(seeds) if isinstance(seeds, int) else seeds
    typed = [None] if numbers is None else [int(seed) for seed in numbers]
    if len(typed) != 1 and "run" in words.settings:
        raise ConfigError("settings['run'] names one run, and there are several seeds; leave one of them out")
    if not typed:
        raise ConfigError(f"seeds is {seeds!r}, which names no seed; give their number or a list of them")
    runs = [_fit(words, seed, quiet) for seed in typed]
    return Runs(Run(path, tuple(words.trust)) for path in runs if path is not None)


def _fit(words: Words, seed: int | None, quiet: bool) -> Path | None:
    """Runs the command; returns the folder of the run."""
    every = Words({**words.settings}, words.trust)
    if seed is not None:
        every.add("seed_everything", seed)
    done: list[OneProcessFit] = []
    try:
        with _unchanged_process(), open(os.devnull, "w") as nowhere:
            quieten()
            line = find_packaged_configs(["fit", *every.words()])
            with redirect_stdout(nowhere) if quiet else _printing():
                perform(line, lambda *command: done.append(OneProcessFit(*command)))
    except Refused as refused:
        raise ConfigError("; ".join(line.removeprefix("error: ") for line in refused.lines)) from None
    except SystemExit as ended:
        if ended.code == 130:
            raise KeyboardInterrupt from None
        raise
    except Exception as error:  # jsonargparse wraps what a constructor raises
        reported = user_error(error)
        if reported in (None, error):
            raise
        raise reported from None
    record = done[0].run.record
    return None if record is None else record.directory.path


@contextmanager
def _printing() -> Iterator[None]:
    yield


@contextmanager
def _unchanged_process() -> Iterator[None]:
    """Restores what a command changes for all of its process."""
    environment = dict(os.environ)
    try:
        with isolate_rng(), warnings.catch_warnings():
            yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
