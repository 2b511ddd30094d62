"""Verdicts on pairs of groups for people, such as ``worse by .066 (p = .008)``, and plain values for programs."""

import math
from typing import Any

from experiments.compare.comparison import LEVEL, Versus
from experiments.compare.statistics.power import MAX_ROWS, MAX_SEEDS, POWER, Requirement
from experiments.compare.table_formats import amount, defined, number, without_zero


def verdict_text(versus: Versus, margin: float | None) -> str:
    """Returns a verdict; after "no difference shown" comes what it takes, and with a margin what is equal."""
    clauses = [_verdict(versus)]
    if margin and versus.equal_p < LEVEL:
        clauses.append(f"equal within {amount(margin)} (TOST, {_p(versus.equal_p)})")
    elif versus.needs is not None:
        clauses.append(_needs(versus.needs))
    return "; ".join(clauses)


def _verdict(versus: Versus) -> str:
    match versus.verdict:
        case "nothing to compare with":
            return ""
        case "worse":
            return f"worse by {amount(versus.difference)} ({_p(versus.p)})"
        case "no difference shown":
            return f"no difference shown ({_p(versus.p)})"
        case "best" | "undefined":
            return versus.verdict
    return f"worse by {amount(versus.difference)}" if versus.difference else "the same"


def _needs(needs: Requirement) -> str:
    """Returns ``needs 9 seeds or 4,000 test rows to tell .005``."""
    if needs.power >= POWER:
        return f"these runs tell {amount(needs.size)} with a power of {needs.power:.0%}".replace("%", " %")
    words = []
    for seeds, rows in needs.alternatives:
        parts = [f"{seeds:,} seeds"] if seeds else []
        words.append(" and ".join([*parts, *([f"{rows:,} test rows"] if rows else [])]))
    most = f"more than {MAX_SEEDS:,} seeds and {MAX_ROWS:,} test rows"
    return f"needs {' or '.join(words) or most} to tell {amount(needs.size)}"


def meanings(verdicts: list[Versus], margin: float | None) -> list[str]:
    """Returns sentences on what the words of some verdicts mean, beside those on "worse"."""
    sentences = []
    if margin and any(versus.equal_p < LEVEL for versus in verdicts):
        sentences.append(
            f"Equal within {amount(margin)}: differences of {amount(margin)} and more are ruled out at p < "
            f"{without_zero(LEVEL)}, Holm-corrected over all pairs (two one-sided tests)."
        )
    if any(versus.needs is not None and not (margin and versus.equal_p < LEVEL) for versus in verdicts):
        sentences.append(
            "Needs: seeds of each group, or test rows, with which a difference of that size is shown with a power of "
            f"{POWER:.0%}.".replace("%", " %")
        )
    return sentences


def plain_versus(versus: Versus) -> dict[str, Any]:
    """Returns the numbers of a comparison by name; an undefined one is None."""
    needs = versus.needs
    numbers = {"difference": versus.difference, "margin": versus.margin, "p": versus.p}
    alone = {each for each in (needs.alternatives if needs else ()) if None in each}
    return defined(numbers | {"verdict": versus.verdict, "equal_p": versus.equal_p}) | {
        "size": needs and needs.size,
        "power": needs and needs.power,
        "needs_seeds": next((seeds for seeds, _ in alone if seeds), None),
        "needs_rows": next((rows for _, rows in alone if rows), None),
    }


def difference_interval(versus: Versus) -> str:
    """Returns the ends of the difference's interval; empty where it is unknown."""
    if math.isnan(versus.margin):
        return ""
    return " to ".join(map(_signed, (versus.difference - versus.margin, versus.difference + versus.margin)))


def _p(p: float) -> str:
    return "p < .001" if p < 0.001 else f"p = {without_zero(f'{p:.3f}')}"


def _signed(value: float) -> str:
    return f"{'+' * (value >= 0)}{number(value)}"
