"""Private names of other libraries in a source file, found in its syntax tree."""

import ast
import re
from pathlib import Path

LIBRARIES = ("jsonargparse", "lightning", "optuna", "torch")

OBJECTS = (
    "trainer",
    "fit_loop",
    "epoch_loop",
    "pl_module",
    "optimizer",
    "strategy",
    "parser",
    "frozen",
    "study",
    "trial",
)
"""Names by which a library's objects go: a private attribute of one is the library's."""

NAMES = re.compile(
    r"^_(current_fx_name|results|data_connector|data_fetcher|data_source|trainer|logger_connector|combined_loader"
    r"|callback_metrics|on_before_batch_transfer|batches_that_stepped|every_n_train_steps|restarting"
    r"|resuming_from_checkpoint|early_exit|update_attr|device|apply|step_supports_amp_scaling|linear_pointwise"
    r"|trial_id|check_input_dim|C|inductor|is_mkldnn_bf16_supported)$"
)
"""Private names that are a library's on any object but ``self``."""


def private_names(path: Path) -> list[str]:
    """Returns the private names of ``LIBRARIES`` that a file imports, reads, sets or overrides, with their lines."""
    tree = ast.parse(path.read_text())
    modules = _imported(tree)
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module), names=names) if module.split(".")[0] in LIBRARIES:
                found += [(node.lineno, f"{module}.{name.name}") for name in names if _private(f"{module}.{name.name}")]
            case ast.Import(names=names):
                found += [
                    (node.lineno, name.name)
                    for name in names
                    if name.name.split(".")[0] in LIBRARIES and _private(name.name)
                ]
            case ast.Attribute(value=owner, attr=attribute) if attribute.startswith("_") and attribute[1:2] != "_":
                if _is_of_library(owner, attribute, modules):
                    found.append((node.lineno, ast.unparse(node)))
            case ast.Call(
                func=ast.Name(id="getattr" | "setattr" | "hasattr"), args=[owner, ast.Constant(str(name)), *_]
            ):
                if NAMES.match(name) and not _is_self(owner):
                    found.append((node.lineno, name))
            case ast.FunctionDef(name=name) if NAMES.match(name) and name in ("_apply", "_check_input_dim"):
                found.append((node.lineno, name))
    return [f"{path.name}:{line} {name}" for line, name in sorted(found)]


def _imported(tree: ast.AST) -> set[str]:
    """Returns the names that a file binds to a library's modules, classes and functions."""
    bound: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [name for name in node.names if name.name.split(".")[0] in LIBRARIES]
            bound |= {(name.asname or name.name).split(".")[0] for name in names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in LIBRARIES:
            bound |= {name.asname or name.name for name in node.names}
    return bound


def _private(dotted: str) -> bool:
    return any(part.startswith("_") and not part.startswith("__") for part in dotted.split("."))


def _is_of_library(owner: ast.expr, attribute: str, modules: set[str]) -> bool:
    parts = [node.id if isinstance(node, ast.Name) else node.attr for node in _chain(owner)]
    if _is_self(owner):
        return bool(NAMES.match(attribute)) and attribute in ("_current_fx_name", "_results", "_trainer")
    if isinstance(owner, ast.Call) and isinstance(owner.func, ast.Name) and owner.func.id == "super":
        return bool(NAMES.match(attribute))
    if parts and parts[-1] in modules:  # the chain runs from the attribute inwards
        return True
    return any(part in OBJECTS for part in parts) or bool(NAMES.match(attribute))


def _is_self(owner: ast.expr) -> bool:
    return isinstance(owner, ast.Name) and owner.id in ("self", "cls")


def _chain(owner: ast.expr) -> list[ast.Name | ast.Attribute]:
    """Returns the names of a dotted expression from the last to the first; empty for any other expression."""
    chain: list[ast.Name | ast.Attribute] = []
    node = owner
    while isinstance(node, ast.Attribute):
        chain.append(node)
        node = node.value
    return [*chain, node] if isinstance(node, ast.Name) else []
