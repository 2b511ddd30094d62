"""Fuzzes a reader: each mutated input is read in a fresh fork that may run nothing, and has 5 s and 1 GiB.

    with fuzzer("tests_own_doors") as fuzz:
        faults = fuzz.run(range(100), tmp_path, prepare)
    assert faults == []

``prepare(folder, chance)`` writes one mutated input into an empty folder and returns its door: words of ``evenhand``,
or the name of a function, ``"module:function"``, that is called in that folder and raises nothing but SystemExit.
"""

import copy
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from forked_process import exit_with
from paths import PYTHONPATH

SECONDS = 5
"""Of processor time; the limit of wall time is ``WALL``, since machines are shared."""
WALL = 300
MEMORY = 1 << 30
"""Bytes above what the process had before."""
CODE_RAN = 97
"""Exit code of a child that ran, sent or wrote something."""

RUNS_CODE = (
    *("os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile", "os.kill"),
    *("subprocess.Popen", "pty.spawn", "pickle.find_class"),
    *("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto", "socket.sendmsg", "urllib.Request"),
    *("os.remove", "os.rename", "os.rmdir", "os.chmod", "os.chown", "os.link", "os.symlink", "os.truncate"),
    *("shutil.rmtree", "shutil.move", "ftplib.connect", "smtplib.connect", "webbrowser.open"),
)
"""Audit events of which none belongs to a reader. Where files may be written, they may be renamed and removed too."""
FILE_EVENTS = {"os.remove", "os.rename", "os.rmdir", "os.chmod", "os.link", "os.symlink", "os.truncate"}
FILE_EVENTS |= {"shutil.move", "shutil.rmtree"}
MAKERS = (
    *("<frozen importlib", "dataclasses.py", "collections/__init__.py", "typing.py", "enum.py", "functools.py"),
    *("inspect.py", "attr/_make.py", "jsonargparse/_postponed_annotations.py", "torch/", "sympy/", "numpy/", "scipy/"),
    *("pydantic/", "typing_extensions.py", "annotationlib.py", "timeit.py"),
)
"""Files that execute source of their own: modules, dataclasses, annotations. The list ends with the libraries."""

Door = list[str] | str
Prepare = Callable[[Path, random.Random], Door]

NASTY: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**400, 0.0, -0.0, 1e-320, 1e308, float("nan")),
    *(float("inf"), "", " ", "\0", "nan", "-inf", "1e999", "0x10", "1_000", "null", "~", "true", "é", "\ud800"),
    *("\u202e", "\x1b]0;EVIL\x07", "a" * 300, "a" * 70_000, "../../ran", "/dev/zero", "/proc/self/mem"),
    *("os.system", "builtins.eval", "builtins.exec", "subprocess.Popen", "pickle.loads", "torch.load", "torch.nn"),
    *("lightning.pytorch.core.saving._load_from_checkpoint", "lit_models.LitModel", "datamodules.DataModule"),
    *("__class__", "__reduce__", "__import__('os').system('touch ran')", "/dev/stdin", ".", "{}", "[]", "[[[["),
    *("!!python/object/apply:os.system ['touch ran']", "*a", "&a [*a]", "{{}}", "%s%n", "$(touch ran)", "`touch ran`"),
    *([], {}, [[]], [None], {"": None}, {"class_path": "os.system"}, {"class_path": None, "init_args": []}),
    *({"class_path": "builtins.exec", "init_args": {"source": "open('ran', 'w')"}}, {"a": {"b": {"c": {}}}}),
)
"""Values that some reader somewhere has stumbled over."""


def mutate_bytes(content: bytes, chance: random.Random, tokens: Iterable[bytes] = ()) -> bytes:
    """Cuts, flips, repeats, swaps and inserts bytes, one to eight times.

    Args:
        content: A valid input.
        chance: Generator of this trial.
        tokens: Byte strings of the format to insert, besides numbers and ``NASTY``.
    """
    words = [*tokens, *(str(value).encode("utf-8", "surrogatepass") for value in NASTY)]
    data = bytearray(content)
    for _ in range(chance.choice([1, 1, 1, 2, 4, 8])):
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.choice([1, 1, 4, 16, 256, 4096]))
        how = chance.randrange(8)
        if how == 0:
            del data[start : len(data) if chance.random() < 0.3 else end]
        elif how == 1 and start < len(data):
            data[start] ^= 1 << chance.randrange(8)
        elif how == 2:
            data[start:end] = chance.randbytes(chance.choice([1, 2, 4, 8, 64]))
        elif how == 3:
            data[start:start] = data[start:end] * chance.choice([1, 2, 50])
        elif how == 4:
            other = chance.randrange(len(data) + 1)
            data[start:end] = data[other : other + end - start]
        elif how == 5:
            data[start:start] = chance.choice(words)
        elif how == 6:
            data[start:end] = chance.choice([b"\x00", b"\xff", b"\x7f", b"\n", b" "]) * (end - start)
        else:
            size = chance.choice([1, 2, 4, 8])
            number = chance.choice([0, 1, 2 ** (8 * size - 1) - 1, 2 ** (8 * size) - 1, len(content)]) % 2 ** (8 * size)
            data[start : start + size] = number.to_bytes(size, chance.choice(["little", "big"]))
    return bytes(data)


def mutate_tree(value: Any, chance: random.Random, pool: Iterable[Any] = ()) -> Any:
    """Returns a copy of nested dicts and lists with one to four values replaced, removed, renamed, copied or nested.

    Args:
        value: A valid input, as JSON or YAML has it.
        chance: Generator of this trial.
        pool: Values of the format to put somewhere, besides ``NASTY``.
    """
    values = [*NASTY, *pool]
    tree = {"": json.loads(json.dumps(value))}
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        places = [*_places(tree)]
        owner, key = chance.choice(places)
        how = chance.randrange(6)
        if how == 0 and owner is not tree:
            del owner[key]
        elif how == 1 and isinstance(owner, dict) and owner is not tree:
            owner[chance.choice([f"{key}x", key[:-1], key.upper(), "class_path", "init_args", "", "é"])] = owner.pop(
                key
            )
        elif how == 2:
            source, name = chance.choice(places)
            owner[key] = json.loads(json.dumps(source[name]))
        elif how == 3:
            owner[key] = chance.choice([[owner[key]], {"a": owner[key]}, [owner[key]] * 3, str(owner[key])])
        elif how == 4 and isinstance(owner[key], int | float):
            owner[key] = chance.choice([-owner[key], owner[key] * 10**6, 0.5, str(owner[key]), 0])
        else:
            owner[key] = copy.deepcopy(chance.choice(values))
    return tree[""]


def _places(owner: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(owner) if isinstance(owner, dict) else range(len(owner)) if isinstance(owner, list) else ()
    for key in keys:
        yield owner, key
        yield from _places(owner[key])


class Fuzzer:
    """A process that has imported everything, and forks one for each input."""

    def __init__(self, modules: Iterable[str]) -> None:
        environment = os.environ | {"PYTHONPATH": PYTHONPATH, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
        command = [sys.executable, "-B", __file__, *modules]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def run(self, seeds: Iterable[int], folder: Path, prepare: Prepare, writes: bool = False) -> list[str]:
        """Tries one input a seed, and returns what went wrong, by seed.

        Args:
            seeds: Of the generators that ``prepare`` gets.
            folder: In which each trial gets an empty folder, which is kept if something went wrong.
            prepare: Writes the input and returns its door.
            writes: Whether files may be written in the trial's folder.
        """
        faults = []
        for seed in seeds:
            trial = folder / f"trial-{seed}"
            trial.mkdir()
            fault = self.read(prepare(trial, random.Random(seed)), trial, writes)
            if fault is None:
                shutil.rmtree(trial)
            else:
                faults.append(f"{trial}: {fault}")
        return faults

    def read(self, door: Door, folder: Path, writes: bool = False) -> str | None:
        """Opens a door in a folder; returns what went wrong, or None."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        output = folder.with_name(f"{folder.name}.txt")
        self.process.stdin.write(json.dumps([door, str(folder), str(output), writes]) + "\n")
        self.process.stdin.flush()
        code, seconds = json.loads(self.process.stdout.readline())
        text = output.read_text("utf-8", "replace")
        output.unlink()
        fault = _fault(code, text, seconds)
        if fault is None and (folder / "ran").exists():
            fault = "it ran code of the file"
        return fault and f"{fault}: {door}: {text[-1500:]}"


def _fault(code: int, output: str, seconds: float) -> str | None:
    if code == CODE_RAN:
        return "it ran code, or wrote"
    if code in (-signal.SIGXCPU, -signal.SIGALRM, -signal.SIGKILL):
        return f"it hung, ended after {seconds:.1f} s"
    if code < 0:
        return f"it was killed by {signal.Signals(-code).name}"
    if "Traceback" in output or "a bug in" in output:
        return "it printed a traceback or called it a bug"
    return None if code in (0, 2, 3) else f"exit code {code}"


@contextmanager
def fuzzer(*modules: str) -> Iterator[Fuzzer]:
    """Starts a process that has imported ``modules`` and the command, and ends it."""
    started = Fuzzer(modules)
    try:
        yield started
    finally:
        assert started.process.stdin is not None
        started.process.stdin.close()
        started.process.wait(30)


def _serve(modules: list[str]) -> None:
    for module in ("torch", "polars", "experiments.cli.lightning_cli", *modules):
        import_module(module)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        door, folder, output, writes = json.loads(line)
        started = time.monotonic()
        if (pid := os.fork()) == 0:
            exit_with(partial(_read, door, folder, output, writes))
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        answers.write(json.dumps([code, time.monotonic() - started]) + "\n")
        answers.flush()


def _read(door: Door, folder: str, output: str, writes: bool) -> int:
    for number, path, flags in ((0, os.devnull, os.O_RDONLY), (1, output, os.O_WRONLY | os.O_CREAT)):
        os.dup2(os.open(path, flags), number)
    os.dup2(1, 2)
    os.chdir(folder)
    _limit()
    sys.addaudithook(_hook(os.path.realpath(folder) if writes else None))
    return _open(door)


def _open(door: Door) -> int:
    if isinstance(door, list):
        from experiments.__main__ import main

        return main(door)
    module, _, function = door.partition(":")
    getattr(import_module(module), function)()
    return 0


def _limit() -> None:
    status = Path("/proc/self/status").read_text()
    used = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData")) << 10
    resource.setrlimit(resource.RLIMIT_DATA, (used + MEMORY,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(WALL)


OWN_PATH = [sys.executable, "-c", "import sys, json; print(json.dumps(sys.path))"]
"""typeshed_client asks the interpreter for its path, once a process, before it looks for stubs; no input is in it."""


def _hook(writable: str | None) -> Callable[[str, tuple[Any, ...]], None]:
    """Returns a hook that ends the process when it runs something, or writes outside of ``writable``."""

    def inside(path: Any) -> bool:
        return writable is not None and os.path.realpath(os.fsdecode(path)).startswith(f"{writable}/")

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "exec":
            caller = sys._getframe(1).f_code.co_filename
            if any(maker in caller for maker in MAKERS):
                return
        elif event == "open":
            path, mode, flags = arguments
            if not (isinstance(mode, str) and set(mode) & set("wax+")) and not (flags or 0) & (os.O_WRONLY | os.O_RDWR):
                return
            if isinstance(path, int) or str(os.fsdecode(path)) == os.devnull or inside(path):
                return
        elif (
            event not in RUNS_CODE
            or (event in FILE_EVENTS and all(map(inside, _paths(arguments))))
            or arguments[1:2] == (OWN_PATH,)
        ):
            return
        os.write(2, f"audit: {event} {arguments!r:.300}\n{''.join(traceback.format_stack(limit=8))}".encode())
        os._exit(CODE_RAN)

    return hook


def _paths(arguments: tuple[Any, ...]) -> list[str | bytes | Path]:
    return [argument for argument in arguments if isinstance(argument, str | bytes | Path)]


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    _serve(sys.argv[1:])
