"""What ``evenhand fit``, ``test`` and ``validate --help`` print, without torch and on two screens."""

FIT = """usage: evenhand fit --data CLASS [--model CLASS] [-c FILE ...] [--SETTING VALUE ...]

Train, choose the best epoch on validation rows, test once, leave a run in runs/EXPERIMENT/RUN/.

  evenhand fit --data TableData --data.path my.csv --data.target label
  evenhand fit --data ImageData --data.path photos/ --data.size [64,64] --model LitCNN
  evenhand fit -c experiments/configs/recipes/mnist1d/cnn.yaml --model.dropout 0.1
  evenhand fit --run NAME                          goes on with a run that was stopped

data      --data TableData | ImageData | SeriesData | TextData | StreamedTable | StreamedArrays
                 Adult | BreastCancer | CaliforniaHousing | Diabetes | Digits | FashionMNIST
                 JapaneseVowels | MNIST1D | UEA | WomensReviews
          --data.path, --data.target, --data.batch_size, --data.group, --data.folds ...
          --data.help TableData                    all settings of one class
model     --model LitLinear | LitMLP | LitResMLP | LitCNN | LitResCNN | LitRNN | LitTransformer
          --model.dropout, --model.loss, --model.class_weights ...; chosen for the data if left out
          --model.help LitCNN                      all settings of one class
optimizer --model.optimizer AdamW --model.optimizer.lr 1e-3 --model.optimizer.weight_decay 0.01
          --model.schedule.scheduler CosineAnnealingLR | OneCycleLR | ReduceLROnPlateau ...
          --model.schedule.warmup 0.1
trainer   Lightning's: --trainer.max_epochs 40, --trainer.accelerator auto, --trainer.devices 2,
          --trainer.precision auto | bf16-mixed, --trainer.gradient_clip_val 1.0,
          --trainer.callbacks+=EarlyStopping --trainer.callbacks.monitor val/loss
run       --experiment NAME, --run NAME            folders of the run
          --seed_everything N                      a seed of its own where it is left out
          --save_every_n_steps N                   last.ckpt within epochs too
          --test_at_end false, --figures false     leave out the test, or its figures
          --ckpt_path RUN | FILE | last            go on from a checkpoint
words     -c FILE                                  settings in YAML; what is typed wins
          --print_config                           all settings as they would run
          --trust PACKAGE                          let settings name classes of your own package
          --allow_change KEY                       let a setting differ from the checkpoint's
          --debug                                  the whole trace of an error

exit codes: 0 done, 1 a bug, 2 configuration, data or disk, 3 diverged, 130 Ctrl-C, 143 SIGTERM
evenhand fit --help-all tells every setting of the Trainer too."""

EVALUATE = """usage: evenhand {verb} --ckpt_path RUN [--SETTING VALUE ...]

Metrics of a checkpoint on {rows} rows, with the data, split and statistics of its run.

  evenhand {verb} --ckpt_path runs/mnist1d/RUN                          # its best.ckpt
  evenhand {verb} --ckpt_path runs/mnist1d/RUN/checkpoints/last.ckpt

Nothing else has to be typed. What is typed wins over the checkpoint's configuration, and a
setting that would change the data or the model is refused unless --allow_change KEY names it.
--trust PACKAGE lets it name classes of your own.

evenhand {verb} --help-all tells every setting."""

PAGES = {
    "fit": FIT,
    "test": EVALUATE.format(verb="test", rows="test"),
    "validate": EVALUATE.format(verb="validate", rows="validation"),
}
