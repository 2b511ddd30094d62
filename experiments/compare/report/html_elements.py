"""HTML elements of a report; every text is escaped here."""

from collections.abc import Iterable
from html import escape

from experiments.compare.table_formats import Sheet

UNFOLDED = 20
"""Lines of a part that is shown without a click."""


def element(tag: str, *content: str, **attributes: str) -> str:
    """Returns an element with content that is HTML already; ``class_`` is the attribute ``class``."""
    names = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    words = "".join(f' {name}="{escape(value)}"' for name, value in names.items())
    return f"<{tag}{words}>{''.join(content)}</{tag}>"


def text(tag: str, content: str, **attributes: str) -> str:
    """Returns an element with a text."""
    return element(tag, escape(content), **attributes)


def heading(level: int, content: str, anchor: str = "") -> str:
    """Returns a heading; links lead to its anchor."""
    return text(f"h{level}", content, **({"id": anchor} if anchor else {}))


def items(lines: Iterable[str], **attributes: str) -> str:
    """Returns a list of texts; empty without any."""
    entries = [text("li", line) for line in lines]
    return element("ul", *entries, **attributes) if entries else ""


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Returns a list of names and values."""
    return element("dl", *(element("div", text("dt", name), text("dd", value)) for name, value in pairs))


def table(sheet: Sheet) -> str:
    """Returns a table in a box of its own, which scrolls if the page is narrower, with the notes below it.

    A row whose last cell is ``best`` is emphasized.
    """
    kinds = ["text" if index in sheet.texts else "number" for index in range(len(sheet.columns))]
    head = element(
        "tr", *(text("th", name, scope="col", class_=kind) for name, kind in zip(sheet.columns, kinds, strict=True))
    )
    rows = [_row(row, kinds) for row in sheet.rows]
    caption = element("caption", text("span", sheet.title))
    whole = element("table", caption, "\n", element("thead", head), "\n", element("tbody", "\n".join(rows)))
    # A box that scrolls is reached with the keyboard only if it can have the focus.
    box = element("div", whole, class_="scroll", role="region", tabindex="0", aria_label=sheet.title)
    return f"{box}\n{items(sheet.notes, class_='notes')}"


def _row(row: Iterable[str], kinds: Iterable[str]) -> str:
    first, *rest = zip(row, kinds, strict=True)
    cells = [text("td", cell, class_=kind) for cell, kind in rest]
    is_best = bool(rest) and rest[-1][0] == "best"
    return element("tr", text("th", first[0], scope="row", class_=first[1]), *cells, **_class("best", is_best))


def _class(name: str, is_given: bool) -> dict[str, str]:
    return {"class_": name} if is_given else {}


def details(summary: str, lines: int, content: str) -> str:
    """Returns content that folds, and is folded at first if it has many lines."""
    is_short = {"open": "open"} if lines <= UNFOLDED else {}
    return element("details", text("summary", summary), content, **is_short)


def figure(svg: str, caption: str) -> str:
    """Returns a figure, an inline SVG, in a box of its own, with its caption."""
    box = element("div", svg, class_="scroll drawing", role="region", tabindex="0", aria_label=caption)
    return element("figure", box, text("figcaption", caption))


def document(title: str, style: str, body: Iterable[str]) -> str:
    """Returns a page that needs nothing from elsewhere."""
    # The policy keeps a browser from loading or running anything, whatever a name contains.
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    head = [
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        text("title", title),
        f"<style>\n{style}</style>",
    ]
    lines = ["<!DOCTYPE html>", '<html lang="en">', "<head>", *head, "</head>", "<body>", "<main>", *body]
    return "\n".join([*lines, "</main>", "</body>", "</html>", ""])
