"""Finds classes whose constructor reaches a call that reads a file, unpickles, downloads or runs a command.

Follows the source of each constructor, the functions and constructors that it calls, and so on. A name is looked up as
Python does it: in the function's own imports, in its module, in the class.
"""

import ast
import builtins
import importlib
import importlib.util
import inspect
import pkgutil
import textwrap
import warnings
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

OPENERS = {"open", "read_text", "read_bytes", "urlopen", "urlretrieve", "from_pretrained", "load_state_dict_from_url"}
OPENERS |= {
    "load_from_checkpoint",
    "from_config_file",
    "hf_hub_download",
    "snapshot_download",
    "download",
    "download_url",
}
OPENERS |= {"Popen", "check_output", "check_call", "run_command", "system", "popen", "exec_module", "import_module"}
"""Attributes whose owner cannot be looked up, as of a path or a module of a missing package."""

MODULES = {"pickle", "subprocess", "urllib", "requests", "runpy", "shelve", "marshal", "cloudpickle", "dill", "socket"}
MODULES |= {
    "transformers",
    "huggingface_hub",
    "torchvision",
    "torch_fidelity",
    "onnxruntime",
    "librosa",
    "nltk",
    "gammatone",
}
MODULES |= {"fsspec"}
"""Any function of these."""

FUNCTIONS = {
    *("builtins.open", "_io.open", "builtins.eval", "builtins.exec", "builtins.__import__", "posix.system"),
    *("posix.popen", "os.popen", "importlib.import_module", "torch.ops.load_library"),
    *("torch.serialization.load", "torch.hub.load", "torch.hub.load_state_dict_from_url"),
    *("torch.hub.download_url_to_file", "torch.jit._serialization.load", "torch.export.load"),
    *("torch.package.package_importer.PackageImporter", "numpy.load", "numpy.loadtxt", "numpy.fromfile"),
    *("yaml.load", "yaml.safe_load", "yaml.full_load", "json.load"),
}


def modules_of(package: str) -> Iterator[Any]:
    """Every module beneath a package that can be imported here."""
    top = importlib.import_module(package)
    yield top
    for found in pkgutil.walk_packages(getattr(top, "__path__", []), f"{package}.", onerror=lambda _: None):
        if found.name.rpartition(".")[2].startswith("__main__"):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield importlib.import_module(found.name)
        except Exception:  # of a package that is not installed; the class cannot be named either
            continue


def classes_of(packages: Iterable[str], bases: tuple[type, ...]) -> set[type]:
    """Subclasses of the bases that are defined beneath the packages."""
    prefixes = tuple(f"{package}." for package in packages)
    found = set()
    for package in packages:
        for module in modules_of(package):
            for value in list(vars(module).values()):
                if isinstance(value, type) and issubclass(value, bases) and f"{value.__module__}.".startswith(prefixes):
                    found.add(value)
    return found


def reached(made: type, depth: int = 8) -> list[str]:
    """The chain of calls from a class's constructor to the first call of the kind; empty where there is none."""
    seen: set[Any] = set()
    waiting: list[tuple[Any, type | None, list[str]]] = []
    for name in ("__new__", "__init__", "__post_init__"):
        function = inspect.getattr_static(made, name, None)
        function = getattr(function, "__func__", function)
        if inspect.isfunction(function):
            waiting.append((function, made, [f"{made.__name__}.{name}"]))
    while waiting:
        function, owner, path = waiting.pop(0)
        if (function, owner) in seen or len(path) > depth:
            continue
        seen.add((function, owner))
        for call in _calls(function):
            target, new_owner = _resolve(call, function, owner)
            written = ast.unparse(call)
            if _opens(call, target):
                return [*path, written]
            if isinstance(target, type):
                if target.__module__.split(".")[0] in PRODUCTS:
                    for name in ("__init__", "__new__"):
                        made_by = inspect.getattr_static(target, name, None)
                        made_by = inspect.unwrap(getattr(made_by, "__func__", made_by)) if made_by else None
                        if inspect.isfunction(made_by):
                            waiting.append((made_by, target, [*path, written]))
            elif inspect.isfunction(target) and target.__module__.split(".")[0] in PRODUCTS:
                waiting.append((target, new_owner, [*path, written]))
    return []


PRODUCTS = {"torch", "torchmetrics", "lightning", "lightning_utilities"}
"""Packages whose functions are followed."""


@cache
def _tree(function: Any) -> ast.AST | None:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return None


@cache
def _calls(function: Any) -> list[ast.expr]:
    tree = _tree(inspect.unwrap(function))
    return [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)] if tree else []


@cache
def _imports(function: Any) -> dict[str, Any]:
    """Returns the names that a function imports in its body."""
    tree, found = _tree(inspect.unwrap(function)), {}
    for node in ast.walk(tree) if tree else ():
        for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
            module = getattr(node, "module", None) or alias.name
            try:
                value = importlib.import_module(module)
                value = getattr(value, alias.name) if isinstance(node, ast.ImportFrom) else value
            except Exception:
                value = Missing(module)
            found[alias.asname or alias.name.partition(".")[0]] = value
    return found


class Missing:
    """A module or a name of a package that is not installed."""

    def __init__(self, module: str) -> None:
        self.module = module


@cache
def _missing(module: str) -> dict[str, Missing]:
    """Names that a module imports from packages that are not installed, wherever in its text."""
    found = {}
    for node in ast.walk(_tree(importlib.import_module(module)) or ast.Module([], [])):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            try:
                absent = importlib.util.find_spec(node.module.split(".")[0]) is None
            except ValueError:
                absent = False
            if absent:
                found.update({alias.asname or alias.name: Missing(node.module) for alias in node.names})
    return found


@cache
def _bases(module: str) -> dict[str, list[ast.expr]]:
    """The bases of a module's classes, as written."""
    tree = _tree(importlib.import_module(module)) or ast.Module([], [])
    return {node.name: node.bases for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def _missing_base(made: type) -> Missing | None:
    """The base of a class that a package which is not installed would define."""
    missing = _missing(made.__module__)
    bases = _bases(made.__module__).get(made.__name__, []) if missing else []
    return next((missing[base.id] for base in bases if isinstance(base, ast.Name) and base.id in missing), None)


def _resolve(call: ast.expr, function: Any, owner: type | None) -> tuple[Any, type | None]:
    """The object that is called, and the class of its ``self``."""
    plain = inspect.unwrap(function)
    if isinstance(call, ast.Name):
        for names in (_imports(plain), _missing(plain.__module__), plain.__globals__, vars(builtins)):
            if call.id in names:
                return names[call.id], None
        return None, None
    if not isinstance(call, ast.Attribute):
        return None, None
    value = call.value
    if owner and isinstance(value, ast.Name) and value.id in ("self", "cls"):
        found = inspect.getattr_static(owner, call.attr, None)
        return getattr(found, "__func__", found), owner
    if owner and isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "super":
        defined = next((base for base in owner.__mro__ if plain in map(_plain, vars(base).values())), owner)
        later = owner.__mro__[owner.__mro__.index(defined) + 1 :]
        if absent := _missing_base(defined):
            return absent, owner
        found = next((vars(base)[call.attr] for base in later if call.attr in vars(base)), None)
        return _plain(found), owner
    parent, _ = _resolve(value, function, owner)
    if isinstance(parent, Missing):
        return parent, None
    if parent is None:
        return None, None
    try:
        found = inspect.getattr_static(parent, call.attr)
    except (AttributeError, TypeError):
        try:
            found = getattr(parent, call.attr) if inspect.ismodule(parent) else None
        except Exception:
            found = None
    return getattr(found, "__func__", found), parent if isinstance(parent, type) else None


def _plain(value: Any) -> Any:
    value = getattr(value, "__func__", value)
    return inspect.unwrap(value) if callable(value) and not isinstance(value, type) else value


def _opens(call: ast.expr, target: Any) -> bool:
    if isinstance(target, Missing):
        return target.module.split(".")[0] in MODULES
    if target is None:
        return isinstance(call, ast.Attribute) and call.attr in OPENERS
    module, name = getattr(target, "__module__", None) or "", getattr(target, "__qualname__", "")
    return f"{module}.{name}" in FUNCTIONS or module.split(".")[0] in MODULES
