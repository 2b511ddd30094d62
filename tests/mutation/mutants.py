"""Generates mutants: copies of a source file that differ in one operator, constant, condition or statement."""

import ast
from collections.abc import Iterator
from typing import NamedTuple

COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Is: "is not",
    ast.IsNot: "is",
}
OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "/",
    ast.Div: "*",
    ast.FloorDiv: "*",
    ast.Mod: "*",
    ast.Pow: "*",
    ast.BitAnd: "|",
    ast.BitOr: "&",
}
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "floor": "ceil", "ceil": "floor", "argmin": "argmax"}


class Mutant(NamedTuple):
    """A replacement of the characters from ``start`` to ``stop`` of a file."""

    path: str
    line: int
    column: int
    start: int
    stop: int
    original: str
    mutated: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.original} -> {self.mutated}"

    def apply(self, source: str) -> str:
        """Returns the file's source with the mutant in it."""
        assert source[self.start : self.stop] == self.original, f"{self} does not fit the source"
        return source[: self.start] + self.mutated + source[self.stop :]


class _Finder(ast.NodeVisitor):
    """Collects (node or span, replacement). Annotations, docstrings and error messages have no mutants."""

    def __init__(self, source: str) -> None:
        self.lines = [0]
        for line in source.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))
        self.source = source
        self.found: list[tuple[int, int, str]] = []

    def at(self, line: int | None, column: int | None) -> int:
        """Returns the index of a character; ``ast`` counts columns in bytes of UTF-8."""
        assert line is not None
        start = self.lines[line - 1]
        text = self.source[start : self.lines[line]].encode()
        return start + len(text[:column].decode())

    def span(self, node: ast.expr | ast.stmt | ast.keyword) -> tuple[int, int]:
        return self.at(node.lineno, node.col_offset), self.at(node.end_lineno, node.end_col_offset)

    def add(self, node: ast.expr | ast.stmt | ast.keyword, mutated: str) -> None:
        self.found.append((*self.span(node), mutated))

    def between(self, left: ast.expr, right: ast.expr, mutated: str) -> None:
        """Replaces the operator between two operands, leaving parentheses and spaces as they are."""
        start, stop = self.span(left)[1], self.span(right)[0]
        gap = self.source[start:stop]
        operator = gap.strip(" ()\n\\")
        if "#" not in gap and operator:
            start += gap.index(operator)
            self.found.append((start, start + len(operator), mutated))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for statement in node.body:
            self.visit(statement)
        for default in [*node.args.defaults, *node.args.kw_defaults]:
            if default is not None:
                self.visit(default)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Raise(self, node: ast.Raise) -> None:
        self.add(node, "pass")

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Leaves messages alone."""

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg != "strict":  # of zip: the lengths are equal where the product is right
            self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        # Types such as dict[str, int] are written outside annotations too.
        if not (isinstance(node.value, ast.Name) and node.value.id in {"dict", "list", "tuple", "set", "Callable"}):
            self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):
            self.add(node, "pass")
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            self.add(node.test, f"not ({self.text(node.test)})")
            self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.add(node.test, f"not ({self.text(node.test)})")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for left, right, operator in zip(operands, operands[1:], node.ops, strict=False):
            self.between(left, right, COMPARISONS[type(operator)])
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        text = isinstance(node.left, ast.Constant | ast.JoinedStr) and not _number(node.left)
        if type(node.op) in OPERATORS and not text:
            self.between(node.left, node.right, OPERATORS[type(node.op)])
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        for left, right in zip(node.values, node.values[1:], strict=False):
            self.between(left, right, "or" if isinstance(node.op, ast.And) else "and")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not | ast.USub | ast.Invert):
            self.add(node, f"({self.text(node.operand)})")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self.add(node, str(not node.value))
        elif _number(node):
            twice = isinstance(node.value, float) and node.value != 0
            self.add(node, f"({node.value!r} * 2)" if twice else f"({node.value!r} + 1)")

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in NAMES:
            stop = self.span(node.func)[1]
            self.found.append((stop - len(name), stop, NAMES[name]))
        self.generic_visit(node)

    def text(self, node: ast.expr) -> str:
        start, stop = self.span(node)
        return self.source[start:stop]


def _number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool)


def mutants(path: str, source: str) -> Iterator[Mutant]:
    """Yields each mutant of a source file; a few are no Python."""
    finder = _Finder(source)
    finder.visit(ast.parse(source))
    for start, stop, mutated in sorted(set(finder.found)):
        line, column = source.count("\n", 0, start) + 1, start - source.rfind("\n", 0, start)
        yield Mutant(path, line, column, start, stop, source[start:stop], mutated)


def is_python(mutant: Mutant, source: str) -> bool:
    """Returns True if a mutant can be parsed."""
    try:
        ast.parse(mutant.apply(source))
    except SyntaxError:
        return False
    return True
