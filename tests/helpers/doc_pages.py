"""Parses README.md and docs/ into blocks: commands, files to write, Python to run, and output."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from paths import REPOSITORY

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
LANGUAGES = {"", "bash", "python", "yaml", "toml", "text", "json"}
"""Blocks without a language, and bash, are commands. Text is the output of a command, and json a response."""

ELSEWHERE = {
    "make test": "it is this suite",
    "make demo": "tests/verbs/test_demo.py runs the same, with fewer epochs",
    "evenhand demo": "tests/verbs/test_demo.py runs it, with fewer epochs",
    "evenhand demo --full --seeds 0 1 2": "21 trainings; tests/cli/test_lightning_cli.py tries each recipe",
    "evenhand sweep --data JapaneseVowels --search random --budget 3m --each "
    "model=LitMLP,LitCNN,LitResCNN,LitRNN,LitTransformer --seeds 0..4 --jobs 2 --experiment vowels --figures false": ""
    "half an hour; tests/sweep/test_equal_budgets.py tries each part",
    "evenhand compare runs/vowels --html japanese-vowels.html": "runs of half an hour; tests/compare/report/"
    "test_html_report.py",
    "make bench": "a quarter of an hour of timing on a quiet machine",
    'make bench BENCH="--only cnn transformer --peers"': "minutes of timing, of packages that the suite lacks",
    "make bench-growth": "minutes of timing",
    "pip install --constraint constraints.txt '.[all]'": "a network; tests/test_wheel.py installs the wheel",
    "pip install --constraint constraints.txt '.[serve]'": "a network; tests/test_wheel.py installs the wheel",
    "pytest -m slow -s tests/export/test_export_grid.py": "a slow test itself",
    "evenhand fit --data TableData --data.path https://example.org/my.csv --data.target label --run remote": "tests/"
    "loading/test_remote_files.py, with a local server",
    "evenhand fit --data ImageData --data.path s3://bucket/photos --data.size [64,64]": "tests/loading/"
    "test_remote_files.py, with moto's server",
    "evenhand predict --ckpt_path runs/tabledata/remote --input gs://bucket/new.parquet --output predictions.csv": "a "
    "bucket of Google; tests/loading/test_remote_files.py predicts a file of a local server",
    "evenhand completion bash > evenhand-completion.bash": "the package shtab; tests/verbs/test_schema.py",
    "sbatch docs/examples/slurm.sh -c experiment.yaml": "four GPUs on each of two machines",
    "sbatch --nodes 2 --ntasks-per-node 2 --gpus-per-node 0 docs/examples/slurm.sh -c experiment.yaml "
    "--trainer.accelerator cpu": "tests/run/distributed/test_slurm.py",
    "evenhand sweep --data MNIST1D --grid model=LitMLP,LitCNN --seeds 0..4 --slurm partition=gpu gpus-per-node=1 "
    "time=4:00:00 mem=16G": "tests/sweep/test_slurm_launcher.py",
    "evenhand fit -c experiment.yaml --trainer.accelerator gpu --trainer.devices 4": "needs four GPUs",
    "torchrun --nnodes 2 --nproc-per-node 4 --rdzv-backend c10d --rdzv-endpoint first-machine:29500 --rdzv-id my-run "
    "-m -- evenhand fit -c experiment.yaml --trainer.devices 4 --trainer.num_nodes 2 --run my-run": "two machines",
    "evenhand fit --trust torchvision --data ImageData --data.path photos --model LitModule "
    "--model.network torchvision.models.resnet18": "test_network_packages.py",
    "evenhand fit --trust timm --data ImageData --data.path photos --model LitModule "
    "--model.network timm.create_model --model.network.model_name resnet18": "test_network_packages.py",
    "evenhand fit --trust timm --data ImageData --data.path photos --model LitModule "
    "--model.network timm.create_model --model.network.model_name resnet18 "
    "--model.network.num_classes 0 --model.head linear": "test_network_packages.py",
    "evenhand fit --trust transformers --data TextData --data.path reviews.csv --data.text text "
    "--data.target stars --model LitModule --model.network "
    "transformers.BertForSequenceClassification --model.network.config transformers.BertConfig "
    "--model.network.config.num_hidden_layers 2 --model.network.config.hidden_size 64 "
    "--model.network.config.num_attention_heads 4": "test_network_packages.py",
    "evenhand fit --data Adult --model LitMLP --model.threshold f1_binary --seed_everything 0 --run threshold": (
        "docs/decisions.md has it with two options more"
    ),
    "evenhand fit --data Digits --model LitMLP --trainer.logger MLFlowLogger "
    "--trainer.logger.tracking_uri sqlite:///mlruns.db": "tests/run/record/test_other_loggers.py",
    "evenhand fit --data Digits --model LitMLP --trainer.logger WandbLogger --trainer.logger.offline true "
    "--trainer.logger.save_dir .": "tests/run/record/test_other_loggers.py",
}
"""Commands that no test runs as they are shown, and the reason."""


FOLLOWED = ("index", "own-data", "own-architecture", "own-loss", "devices", "export", "serve")
"""Pages that tests/test_wheel.py also types into a shell, with only the wheel installed and no option added."""


@dataclass(frozen=True)
class Block:
    """The text between two fences.

    Args:
        language: The word after the first fence.
        text: The lines between the fences.
        file: The file that the paragraph before names, such as "Here `my_parts.py` has one of each:"; empty if none.
    """

    language: str
    text: str
    file: str

    @property
    def commands(self) -> list[str]:
        """The command lines, each in one line with single spaces."""
        if self.language not in ("", "bash"):
            return []
        lines = self.text.replace("\\\n", " ").splitlines()
        return [re.sub(r"(?<=\S) +", " ", line).strip() for line in lines if line.strip()]

    @property
    def elsewhere(self) -> bool:
        """Returns True if no command of the block is run, so that the output after it is not checked."""
        return bool(self.commands) and all(bare(command) in ELSEWHERE for command in self.commands)

    @property
    def needs_all_seeds(self) -> bool:
        """Returns True if the output after the block depends on the number of seeds of a sweep."""
        return any(command.startswith(("evenhand sweep", "evenhand compare")) for command in self.commands)


def blocks(page: Path) -> list[Block]:
    """Returns the blocks of a page, from top to bottom."""
    found = []
    for before, language, text in re.findall(r"([^\n]*\n\n)?```(\w*)\n(.*?)```", page.read_text(), re.DOTALL):
        names = re.findall(r"`([\w.]+\.(?:py|yaml|toml))`", before)
        of_file = language in ("python", "yaml", "toml") and before.rstrip().endswith(":") and names
        found.append(Block(language, text, names[-1] if of_file else ""))
    return found


def bare(command: str) -> str:
    """Returns a command without its comment."""
    return re.sub(r" #.*", "", command)


def words_of(command: str, variables: dict[str, str]) -> tuple[list[str], str]:
    """Splits a command into words as a shell does, and returns them with the file of its output, or an empty string."""
    words = [re.sub(r"\$(\w+)", lambda name: variables[name[1]], word) for word in shlex.split(bare(command))]
    return (words[:-2], words[-1]) if words[-2:-1] == [">"] else (words, "")


def every_command() -> Iterator[tuple[Path, str]]:
    """Yields each command with its page."""
    for page in PAGES:
        for block in blocks(page):
            for command in block.commands:
                yield page, bare(command)


def shape(line: str) -> str:
    """Normalizes an output line: numbers, spaces and column widths differ from run to run."""
    return re.sub(r"[-+]?\d[\d,.]*(e[-+]\d+)?", "0", re.sub("─+", "─", " ".join(line.split())))


def lacking(shown: str, printed: str) -> list[str]:
    """Returns the shown lines whose shape was never printed."""
    shapes = {shape(line) for line in printed.splitlines()}
    return [line for line in shown.splitlines() if line.strip() and shape(line) not in shapes]


ELSEWHERE |= {
    command: "weights of packages; tests/networks/test_pretrained_packages.py"
    for page, command in every_command()
    if page.stem == "fine-tuning" and re.search(r"\bMODEL\b|\bWEIGHTS\b|\bfirst", command)
}
