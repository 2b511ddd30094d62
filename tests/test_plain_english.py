"""Plain English: no private words as identifiers, and docstrings that begin with a noun or a verb of the field."""

import ast
from functools import cache

import pytest
from paths import REPOSITORY

FOLDERS = ("datamodules", "evenhand", "experiments", "lit_models", "tests", "docs")
PRIVATE = {"told", "said", "asked", "known"}
VAGUE = ("What ", "Those ", "The same", "Likewise", "Whether somebody")
NAMED = ("id", "arg", "attr", "name", "asname")
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


Names = list[tuple[str, str]]


@cache
def identifiers_and_docstrings(folder: str) -> tuple[Names, Names]:
    """Returns the identifiers and the docstrings of a folder's modules, each with its file's path.

    The syntax tree has those of f-strings too, which the tokenizer of Python 3.11 does not split.
    """
    identifiers: Names = []
    docstrings: Names = []
    for file in sorted((REPOSITORY / folder).rglob("*.py")):
        path, found = str(file.relative_to(REPOSITORY)), set[str]()
        for node in ast.walk(ast.parse(file.read_text())):
            found.update(name for field in NAMED if isinstance(name := getattr(node, field, None), str))
            if isinstance(node, DOCUMENTED):
                docstrings.append((path, ast.get_docstring(node) or ""))
        identifiers += [(path, name) for name in sorted(found)]
    return identifiers, docstrings


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_identifier_is_a_private_word(folder: str) -> None:
    found, _ = identifiers_and_docstrings(folder)
    assert [f"{path}: {name}" for path, name in found if name.lower().strip("_") in PRIVATE] == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_docstrings_begin_with_a_noun_or_a_verb_of_the_field(folder: str) -> None:
    _, docstrings = identifiers_and_docstrings(folder)
    assert [f"{path}: {text.splitlines()[0]}" for path, text in docstrings if text.startswith(VAGUE)] == []
