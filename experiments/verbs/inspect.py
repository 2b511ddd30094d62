"""``evenhand inspect``: shows data and their split before anything is trained."""

from experiments.cli.arguments import VerbParser, Words, add_shared

EPILOG = """\
  evenhand inspect --data TableData --data.path my.csv --data.target label
  evenhand inspect -c runs/my/run/config.yaml

A fit with the same settings writes the same into its run, as inspection.json, and the row ids of each split as
split.parquet. evenhand fit --data.help TableData shows the settings of a data module."""

PARSER = VerbParser(
    "inspect",
    "Look at data and their split, and for leaks, before anything is trained.\n\n"
    "Shows the rows of each split, classes, columns, missing values and exact copies.",
    EPILOG,
    "[-c FILE] [--data CLASS] [--data.SETTING VALUE ...]",
)
PARSER.add_argument("-c", "--config", metavar="FILE", help="settings of fit in YAML; those of the data count")
PARSER.add_argument("--data", metavar="CLASS", help="as for fit")
add_shared(PARSER, "trust", "debug")


def inspect(words: Words) -> int:
    """Prints an inspection of the data; ``words`` are those behind ``inspect``."""
    from datamodules.errors import IdColumnError
    from datamodules.inspection import inspection
    from experiments.cli.entry_point import answer, user_error
    from experiments.cli.fit_parser import load_data
    from experiments.cli.inspection_report import report
    from experiments.console import Console

    def show(words: Words, command: list[str], allowed: list[str]) -> None:
        left_out: list[str] = []
        while True:
            try:
                data = load_data(words)[1]
                break
            except ValueError as error:  # jsonargparse's, from ours
                column_error = user_error(error)
                if not isinstance(column_error, IdColumnError):
                    raise
                left_out.append(f"left out: {column_error}")  # which fit refuses
                words = [*words, "--data.drop+", column_error.column]
        Console().print(report(inspection.inspect(data)), *left_out, sep="\n", markup=False)

    return answer(["inspect", *words], show)
