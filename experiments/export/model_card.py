"""Model card of an artefact: its data, metrics, interface and limits."""

from typing import Any

from experiments.export.verification import summary

CARD = "MODEL_CARD.md"
UNKNOWN = "unknown"


def card(content: dict[str, Any]) -> str:
    """Writes the card in Markdown from the content of the signature."""
    run, version = content["run"], content["versions"]["evenhand"] or "of an unknown version"
    sections = {
        "Data and split": _data(run),
        "Metrics": _metrics(run),
        "Inputs and output": _interface(content),
        "Checked": [
            f"The artefact against the network it was made of: {summary(content['checked'])} "
            "(of a probability; of values in standard deviations of the train rows' target)."
        ],
        "Limits": [
            "- The metrics hold for rows like the test rows, and say nothing of others, such as later ones or those of "
            "other places and people.",
            "- The intervals are over test rows of one training seed, not over seeds.",
            *(f"- {sentence}" for sentence in _decisions(content)),
            *(f"- {note}." for note in content["notes"]),
        ],
    }
    parts = [
        f"# {run['id'] or run['checkpoint']['name']}",
        f"{_networks(content['model'])} for {content['task']}, exported as {content['format']} by Evenhand {version}.",
        *("\n\n".join([f"## {title}", "\n".join(lines)]) for title, lines in sections.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _networks(model: dict[str, Any]) -> str:
    """Returns the class of the network, or those of an ensemble's members."""
    members = model["hyper_parameters"].get("members")
    if not isinstance(members, list):
        return str(model["class_path"].rpartition(".")[2])
    names = sorted({member["class_path"].rpartition(".")[2] for member in members})
    return f"Mean of {len(members)} networks ({', '.join(names)})"


def _data(run: dict[str, Any]) -> list[str]:
    rows, prints = run.get("rows"), run.get("fingerprints", {})
    counts = ", ".join(f"{count:,} {split}" for split, count in rows.items()) if rows else UNKNOWN
    return [
        f"- Data: {run['data']}",
        f"- Rows: {counts}",
        f"- Fingerprint of the data: {prints.get('data', UNKNOWN)}",
        f"- Fingerprint of the split: {prints.get('split', UNKNOWN)}",
        f"- Training seed: {run.get('seed', UNKNOWN)}",
        f"- Trainable parameters: {run.get('parameters', UNKNOWN)}",
        f"- Trained: {run.get('started', UNKNOWN)}, commit {(run.get('git') or {}).get('sha') or UNKNOWN}",
        *(f"- {note}" for note in run.get("notes", [])),
    ]


def _metrics(run: dict[str, Any]) -> list[str]:
    metrics = run.get("metrics")
    if not metrics:
        return [f"Unknown: {run.get('unknown', 'the run was not tested')}."]
    lines = ["Of the run's test rows, with 95 % intervals over them where there is one.", "", "| metric | value | "
             "interval |", "|---|---|---|"]  # fmt: skip
    for name, value in metrics.items():
        interval = run.get("intervals", {}).get(name.partition("/")[2])
        between = f"{interval[0]:.4f} to {interval[1]:.4f}" if interval else ""
        lines.append(f"| {name} | {'undefined' if value is None else f'{value:.6f}'} | {between} |")
    return lines


def _decisions(content: dict[str, Any]) -> list[str]:
    """Returns sentences about calibration, threshold, and sets or intervals, all by validation rows."""
    made = content.get("decisions", {})
    sentences = ["Probabilities are the network's own and were not calibrated."]
    if "temperature" in made:
        sentences = [
            f"Logits are divided by the temperature {made['temperature']:.4g}, which had the lowest log loss on the "
            "validation rows."
        ]
    if "threshold" in made:
        sentences.append(f"A row is of the second class if its probability is above {made['threshold']:.6g}.")
    if "least_probability" in made:
        sentences.append(
            f"A prediction set has every class of a probability of at least {made['least_probability']:.6g}, and the "
            f"right one for {made['coverage']:g} of rows like the validation rows."
        )
    if "margins" in made:
        widths = ", ".join(f"{margin:.6g}" for margin in made["margins"])
        sentences.append(
            f"An interval is the prediction plus or minus {widths}, and has the value for {made['coverage']:g} of rows "
            "like the validation rows."
        )
    return sentences


def _interface(content: dict[str, Any]) -> list[str]:
    lines = []
    for tensor in [*content["inputs"], content["output"]]:
        about = f": {tensor['meaning']}" if "meaning" in tensor else ""
        names = tensor.get("features", [])
        of = f" of {', '.join(names[:20])}{' ...' * (len(names) > 20)}" if names else ""
        lines.append(f"- `{tensor['name']}`, {tensor['dtype']} ({', '.join(map(str, tensor['shape']))}){of}{about}")
    if names := content["classes"] or content["targets"]:
        lines.append(f"- {'classes' if content['classes'] else 'targets'}: {', '.join(names)}")
    return lines
