"""Plain English: no private words as identifiers, and docstrings that begin with a noun or a verb of the field."""

import ast
from functools import cache

import pytest
from paths import REPOSITORY

FOLDERS = ("datamodules", "evenhand", "experiments", "lit_models", "tests", "docs")
PRIVATE = {"told", "said", "asked", "known"}
VAGUE = ("What ", "Those ", "The same", "Likewise", "Whether somebody")
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@cache
def nodes(folder: str) -> list[tuple[str, ast.AST]]:
    """Returns all nodes of a folder's modules, each with its file's path."""
    files = sorted((REPOSITORY / folder).rglob("*.py"))
    return [
        (str(path.relative_to(REPOSITORY)), node) for path in files for node in ast.walk(ast.parse(path.read_text()))
    ]


def identifiers(node: ast.AST) -> list[str]:
    """Returns the identifiers of a node: of f-strings too, which the tokenizer of Python 3.11 does not split."""
    fields = ("id", "arg", "attr", "name", "asname")
    return [name for field in fields if isinstance(name := getattr(node, field, None), str)]


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_identifier_is_a_private_word(folder: str) -> None:
    found = [(path, name) for path, node in nodes(folder) for name in identifiers(node)]
    assert [f"{path}: {name}" for path, name in found if name.lower().strip("_") in PRIVATE] == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_docstrings_begin_with_a_noun_or_a_verb_of_the_field(folder: str) -> None:
    docstrings = [(path, ast.get_docstring(node) or "") for path, node in nodes(folder) if isinstance(node, DOCUMENTED)]
    assert [f"{path}: {text.splitlines()[0]}" for path, text in docstrings if text.startswith(VAGUE)] == []
