"""``evenhand fit``: trains a model and records the run."""

import datamodules
import lit_models
from experiments.cli.arguments import RUN_OPTIONS, VerbParser, add_shared

EPILOG = """\
  evenhand fit --data TableData --data.path my.csv --data.target label
  evenhand fit --data ImageData --data.path photos/ --data.size [64,64] --model LitCNN
  evenhand fit -c experiments/configs/recipes/mnist1d/cnn.yaml --model.dropout 0.1 \\
      --model.schedule.scheduler CosineAnnealingLR --model.schedule.warmup 0.1
  evenhand fit --run NAME                          resumes a run that was stopped

exit codes: 0 done, 1 a bug, 2 configuration, data or disk, 3 diverged, 130 Ctrl-C, 143 SIGTERM
evenhand fit --help-all shows every setting of the Trainer too."""

NO_DATA_SETS = {
    *(
        "Augment",
        "DataError",
        "DataModule",
        "FrameData",
        "InMemoryData",
        "LabelledTexts",
        "LightningData",
        "PixelData",
        "Rows",
    ),
    *("SequenceData", "StreamData"),
}
"""Names of ``datamodules`` that ``--data`` does not take."""
READERS = ("Data", "Table", "Arrays")
"""Endings of the classes that read the user's files."""

PARSER = VerbParser(
    "fit",
    "Train a model, choose the best epoch on validation rows, and test once.",
    EPILOG,
    "--data CLASS [--model CLASS] [-c FILE ...] [--SETTING VALUE ...]",
)
# Classes that read the user's files come before bundled data sets.
names = sorted({*dir(datamodules)} - NO_DATA_SETS, key=lambda name: (not name.endswith(READERS), name.lower()))
data = PARSER.add_argument_group("data")
data.add_argument("--data", metavar="CLASS", help=", ".join(names))
data.add_argument("--data.SETTING", metavar="VALUE", help="path, target, batch_size, group, folds ...")
data.add_argument("--data.help", metavar="CLASS", help="all settings of a class")
no_architectures = ("LitModel", "LitLightningModule")  # the base class, and what any LightningModule becomes
models = ", ".join(name for name in dir(lit_models) if name.startswith("Lit") and name not in no_architectures)
model = PARSER.add_argument_group("model")
model.add_argument("--model", metavar="CLASS", help=f"{models}; chosen by the data if left out")
model.add_argument("--model.SETTING", metavar="VALUE", help="dropout, loss, class_weights ...")
model.add_argument("--model.optimizer", metavar="CLASS", help="of torch.optim; --model.optimizer.lr 1e-3 ...")
model.add_argument("--model.help", metavar="CLASS", help="all settings of a class")
trainer = PARSER.add_argument_group("trainer")
trainer.add_argument("--trainer.max_epochs", metavar="N", help="40")
trainer.add_argument("--trainer.accelerator", metavar="NAME", help="auto, cpu, gpu")
trainer.add_argument("--trainer.devices", metavar="N", help="1")
trainer.add_argument("--trainer.precision", metavar="NAME", help="auto, 32-true, bf16-mixed ...")
text = "a callback, as in --trainer.callbacks+=EarlyStopping --trainer.callbacks.monitor val/loss"
trainer.add_argument("--trainer.callbacks+", metavar="CLASS", help=text)
run = PARSER.add_argument_group("run")
for name, _, _, metavar, text in RUN_OPTIONS:
    run.add_argument(f"--{name}", metavar=metavar, help=text)
run.add_argument("--seed_everything", metavar="N", help="drawn if left out")
run.add_argument("--ckpt_path", metavar="PATH", help="resume from a run's folder, a checkpoint, or the last one")
process = PARSER.add_argument_group("configuration")
process.add_argument("-c", "--config", metavar="FILE", help="settings in YAML; typed settings win")
process.add_argument("--print_config", action="store_true", help="print all settings as they would run")
add_shared(process, "trust", "allow_change", "debug")
