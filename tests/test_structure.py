"""The house: imports run one way, no circles, no two files of one name, private names in one place."""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator

import pytest
from paths import REPOSITORY
from private_names import private_names

PACKAGES = ("datamodules", "evenhand", "experiments", "lit_models")
FILES = {
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__"): path
    for package in PACKAGES
    for path in sorted((REPOSITORY / package).rglob("*.py"))
}


def imports(module: str) -> Iterator[str]:
    """Yields the product's modules that a module imports, within functions and for type checking too."""
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name in FILES)
        elif isinstance(node, ast.ImportFrom) and node.module in FILES:
            names = {f"{node.module}.{name.name}" for name in node.names}
            yield from names & FILES.keys()
            if names - FILES.keys():
                yield node.module


GRAPH = {module: set(imports(module)) - {module} for module in FILES}


def folder(module: str) -> str:
    """The folder directly below ``experiments`` that a module is in, or the module itself."""
    return ".".join(module.split(".")[:2])


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Returns one circle of a graph, or an empty list."""
    done: set[str] = set()

    def walk(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        for following in sorted(graph.get(node, ())):
            if found := walk(following, [*path, node]):
                return found
        done.add(node)
        return []

    return next((found for node in sorted(graph) if (found := walk(node, []))), [])


def test_no_module_imports_itself_through_others() -> None:
    # A package's __init__ that hands on names of its modules is imported with each of them, which is no circle.
    assert (
        circle({module: {name for name in GRAPH[module] if not module.startswith(f"{name}.")} for module in GRAPH})
        == []
    )


@pytest.mark.parametrize("package", ["datamodules", "lit_models"])
def test_the_lower_packages_know_nobody_else(package: str) -> None:
    others = {name for module in GRAPH if module.startswith(package) for name in GRAPH[module]}
    assert {name.split(".")[0] for name in others} <= {package}


def test_nobody_imports_the_public_face() -> None:
    assert [m for m, others in GRAPH.items() if m.split(".")[0] != "evenhand" and "evenhand" in {*others}] == []


def test_no_two_folders_of_experiments_import_each_other() -> None:
    graph: dict[str, set[str]] = defaultdict(set)
    for module, others in GRAPH.items():
        if module.startswith("experiments."):
            graph[folder(module)] |= {folder(name) for name in others if name.startswith("experiments.")} - {
                folder(module)
            }
    assert circle(graph) == []


def test_nobody_but_the_entry_point_imports_a_verb() -> None:
    users = [m for m, others in GRAPH.items() for name in others if name.startswith("experiments.verbs.")]
    assert {module for module in users if not module.startswith("experiments.verbs")} <= {"experiments.__main__"}


def test_no_file_is_longer_than_250_lines() -> None:
    assert {name: count for name, path in FILES.items() if (count := len(path.read_text().splitlines())) > 250} == {}


def test_no_two_files_share_a_name() -> None:
    shared = {"__init__.py", "__main__.py", "base.py", "errors.py", "inputs.py"}
    architectures = {path.name for path in (REPOSITORY / "lit_models").glob("*.py")}
    counts = Counter(path.name for path in FILES.values())
    twice = {name for name, count in counts.items() if count > 1 and name not in shared}
    networks = {path.name for path in (REPOSITORY / "lit_models" / "networks").glob("*.py")}
    assert {name for name in twice if not (counts[name] == 2 and name in architectures & networks)} == set()
    assert [path for path in FILES.values() if path.name.startswith("test_")] == []


def test_helpers_are_imported_by_their_own_names() -> None:
    # `python -m pytest` finds a package `tests` in the folder where it starts; `pytest`, as in the README, does not
    pattern = re.compile(r"^\s*(from|import) tests\b", re.MULTILINE)
    assert not [path for path in sorted((REPOSITORY / "tests").rglob("*.py")) if pattern.search(path.read_text())]


def test_behaviours_are_in_the_files_that_contributing_names() -> None:
    table = (REPOSITORY / "CONTRIBUTING.md").read_text()
    rows = re.findall(r"^\| (.+) \| `([\w/]+\.py)` \| `(\w+)` \|$", table, re.MULTILINE)
    assert len(rows) >= 20
    for behaviour, file, name in rows:
        path = REPOSITORY / file
        assert path.is_file(), f"{behaviour}: {file} does not exist"
        assert re.search(rf"\b{name}\b", path.read_text()), f"{behaviour}: {file} has no {name}"


def test_lines_beside_which_contributing_adds_a_line_exist() -> None:
    blocks = re.findall(
        r"^```diff\n--- (\S+)\n (.+)\n\+.+\n```$", (REPOSITORY / "CONTRIBUTING.md").read_text(), re.MULTILINE
    )
    assert len(blocks) == 6
    for file, line in blocks:
        assert line in (REPOSITORY / file).read_text().splitlines(), f"{file} has no line {line}"


@pytest.mark.parametrize("package", PACKAGES)
def test_private_names_of_libraries_stand_in_internals_and_cpu(package: str) -> None:
    paths = [path for path in (REPOSITORY / package).rglob("*.py") if not {"internals", "cpu"} & {*path.parts}]
    assert [name for path in paths for name in private_names(path)] == []


def test_experiments_name_no_class_of_a_modality() -> None:
    """Inputs answer for themselves, so that a new modality changes nothing in ``experiments``."""
    named = re.compile(r"\b(Table|Image|Series|Text|Array)Inputs\b|\bmodality (==|!=|in \()")
    lines = {
        f"{module}:{number}": line
        for module, path in FILES.items()
        if module.startswith("experiments")
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if named.search(line)
    }
    assert lines == {}
