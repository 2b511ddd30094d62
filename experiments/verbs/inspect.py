"""``evenhand inspect``: shows data and their split before anything is trained."""

from pathlib import Path

from experiments.cli.arguments import VerbParser, Words, add_shared, take

EPILOG = """\
  evenhand inspect --data TableData --data.path my.csv --data.target label
  evenhand inspect -c runs/my/run/config.yaml
  evenhand inspect --data Digits --figures look

A fit with the same settings writes the same into its run, as inspection.json, and the row ids of each split as
split.parquet. evenhand fit --data.help TableData shows the settings of a data module."""

PARSER = VerbParser(
    "inspect",
    "Look at data and their split, and for leaks, before anything is trained.\n\n"
    "Shows the rows of each split, classes, columns, dates, gaps, and copies with the same or another label.",
    EPILOG,
    "[-c FILE] [--data CLASS] [--data.SETTING VALUE ...] [--figures FOLDER]",
)
PARSER.add_argument("-c", "--config", metavar="FILE", help="settings of fit in YAML; those of the data count")
PARSER.add_argument("--data", metavar="CLASS", help="as for fit")
text = "draw histograms of columns, and examples of each class, of train rows as PNG files"
PARSER.add_argument("--figures", metavar="FOLDER", help=text)
add_shared(PARSER, "trust", "debug")


def inspect(words: Words) -> int:
    """Prints an inspection of the data; ``words`` are those behind ``inspect``."""
    from experiments.cli.entry_point import answer

    words, folders = take(words, "--figures")  # of fit it is another option

    def show(words: Words, command: list[str], allowed: list[str]) -> None:
        from datamodules.inspection import inspection
        from experiments.cli.inspection_report import load_any, report
        from experiments.console import Console

        data, left_out = load_any(words)
        inspected = inspection.inspect(data)
        if folders:
            from experiments.figures.inspection_figures import draw

            files = draw(data.inspection_sample(), inspected, data.num_classes, Path(folders[-1]))
            figures = [f"figures of train rows: {', '.join(map(str, files))}"]
        else:
            figures = ["--figures FOLDER draws histograms of the columns, and images and series, of train rows"]
        Console().print(report(inspected, figures), *left_out, sep="\n", markup=False)

    return answer(["inspect", *words], show)
