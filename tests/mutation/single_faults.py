"""Single faults in the product, each with the test that fails where it is put in."""

from typing import NamedTuple


class Fault(NamedTuple):
    """A replacement of source that occurs exactly once in a file of the product, and the test that has to fail."""

    name: str
    path: str
    original: str
    faulty: str
    test: str


FAULTS = [
    Fault(
        "numpy's generator is not restored",
        "experiments/run/resume/exact_state.py",
        'numpy.random.set_state(("MT19937", keys.cpu().numpy().astype(numpy.uint32), position, has_gauss, gauss))',
        "pass",
        "tests/run/resume/test_resume_generators.py::test_a_resumed_run_draws_what_the_uninterrupted_run_draws",
    ),
    Fault(
        "Python's generator is not restored",
        "experiments/run/resume/exact_state.py",
        "    random.setstate((version, tuple(internal), gauss_next))",
        "    pass",
        "tests/run/resume/test_resume_generators.py::test_a_resumed_run_draws_what_the_uninterrupted_run_draws",
    ),
    Fault(
        "the order within a buffer depends on the epoch in the first buffer alone",
        "datamodules/loading/block_loader.py",
        "generator(self.loader.seed, self.loader.epoch, -1 - number)",
        "generator(self.loader.seed, self.loader.epoch if number == 0 else 0, -1 - number)",
        "tests/streaming/test_streamed_buffer_order.py::test_no_buffer_repeats_the_order_of_another_epoch",
    ),
    Fault(
        "streamed medians are those of the first rows",
        "datamodules/streaming/hash_split.py",
        "return uniform(numpy.arange(start, stop, dtype=numpy.uint64), 2**40) < fraction",
        "return (numpy.arange(start, stop) < 65_536) | (fraction >= 1)",
        "tests/streaming/test_streamed_medians.py::test_sorted_rows_have_the_medians_of_all_rows",
    ),
    Fault(
        "a schedule's base rates are not scaled on a resume with another rate",
        "experiments/internals/torch_private.py",
        'for name in ("base_lrs", "_last_lr"):',
        'for name in ("_last_lr",):',
        "tests/run/resume/test_resume_learning_rate.py::test_the_schedule_is_that_of_the_other_rate",
    ),
    Fault(
        "augmentation draws the first epoch's numbers in every epoch",
        "datamodules/loading/base_loader.py",
        "draws = generator(self.seed, self.epoch, 1 + number)",
        "draws = generator(self.seed, 0, 1 + number)",
        "tests/imaging/test_augmentation_epochs.py::test_every_epoch_changes_the_images_differently",
    ),
    Fault(
        "the balanced sampler's left-over rows always go to the first classes",
        "datamodules/loading/epoch_order.py",
        "quota * past + (past * rest - index + len(classes) - 1) // len(classes) for past in (epoch, epoch + 1)",
        "quota * past + past * (index < rest) for past in (epoch, epoch + 1)",
        "tests/loading/test_balanced_sampler_epochs.py::test_as_many_epochs_as_classes_draw_each_class_equally_often",
    ),
    Fault(
        "train/loss is the mean of the batches' means",
        "lit_models/base.py",
        'self.epoch_monitor.add(loss.detach(), len(batch["y"]))',
        "self.epoch_monitor.add(loss.detach(), 1)",
        "tests/training/test_train_loss.py::test_the_train_loss_is_the_mean_over_rows",
    ),
    Fault(
        "a padded zero may win a max-pool over negative values",
        "lit_models/networks/cnn.py",
        "x.masked_fill(padding.unsqueeze(1), -torch.inf)",
        "x.masked_fill(padding.unsqueeze(1), 0.0)",
        "tests/networks/test_max_pool_padding.py::test_a_block_with_negative_values_pools_them_alone",
    ),
    Fault(
        "a CNN's max-pool counts padding",
        "lit_models/networks/cnn.py",
        "x = self.pool(x if padding is None else x.masked_fill(padding.unsqueeze(1), -torch.inf))",
        "x = self.pool(x)",
        "tests/networks/test_max_pool_padding.py::test_a_model_gives_the_same_with_and_without_padding",
    ),
    Fault(
        "a residual block's max-pool counts padding",
        "lit_models/networks/res_cnn.py",
        "x = self.pool(x if padding is None else x.masked_fill(padding.unsqueeze(1), -torch.inf))",
        "x = self.pool(x)",
        "tests/networks/test_max_pool_padding.py::test_a_model_gives_the_same_with_and_without_padding",
    ),
    Fault(
        "21 different integers are classes",
        "datamodules/tables/targets.py",
        "FEW = 20\n",
        "FEW = 21\n",
        "tests/tables/test_table_target_classes.py::test_up_to_twenty_different_integers_are_classes",
    ),
    Fault(
        "20 different integers are numbers",
        "datamodules/tables/targets.py",
        "len(different) <= FEW",
        "len(different) < FEW",
        "tests/tables/test_table_target_classes.py::test_up_to_twenty_different_integers_are_classes",
    ),
    Fault(
        "dates are days of the file's unit",
        "datamodules/tables/casting.py",
        'return column.cast(polars.Datetime("us")).cast(polars.Int64)',
        "return column.cast(polars.Int64)",
        "tests/tables/test_table_date_units.py::test_a_moment_is_its_days_in_every_unit",
    ),
    Fault(
        "durations are days of the file's unit",
        "datamodules/tables/casting.py",
        'days = durations.cast(polars.Duration("us")).cast(polars.Int64)',
        "days = durations.cast(polars.Int64)",
        "tests/tables/test_table_date_units.py::test_a_duration_is_its_days_in_every_unit",
    ),
    Fault(
        "a split by time counts moments",
        "datamodules/splitting/grouping.py",
        "ends = counts.cumsum(0).double()",
        "ends = torch.arange(1, len(counts) + 1).double() * len(rows) / len(counts)",
        "tests/splitting/test_split_row_fractions.py::test_a_split_by_time_is_cut_at_the_nearest_row_counts",
    ),
    Fault(
        "a split by group counts groups",
        "datamodules/splitting/grouping.py",
        "rows_of[index][key] = count / totals[key]",
        "rows_of[index][key] = 1 / len(units)",
        "tests/splitting/test_split_row_fractions.py::test_a_split_by_group_is_off_by_less_than_a_group",
    ),
    Fault(
        "the interval of a mean has a normal quantile",
        "experiments/compare/statistics/pairwise_tests.py",
        "student_t.t95(len(units) - 1)",
        "1.959964",
        "tests/compare/test_compare_intervals.py::test_over_seeds_they_are_students_and_welchs",
    ),
    Fault(
        "the margin of a difference has a normal quantile",
        "experiments/compare/comparison.py",
        "student_t.quantile(self.pairs.df[reference][defined], LEVEL * shares[defined])",
        "1.959964",
        "tests/compare/test_compare_intervals.py::test_over_seeds_they_are_students_and_welchs",
    ),
    Fault(
        "the interval over several splits is not corrected",
        "experiments/compare/statistics/pairwise_tests.py",
        "(means, 1 / len(means) + test_to_train)",
        "(means, 1 / len(means))",
        "tests/compare/test_compare_intervals.py::test_over_splits_they_are_nadeau_and_bengios",
    ),
    Fault(
        "the margin over several splits is not corrected",
        "experiments/compare/statistics/pairwise_tests.py",
        "variance = (1 / count + test_to_train) * _between",
        "variance = (1 / count) * _between",
        "tests/compare/test_compare_intervals.py::test_over_splits_they_are_nadeau_and_bengios",
    ),
    Fault(
        "the oldest of repeated runs is compared",
        "experiments/compare/load_runs.py",
        "sorted(runs, key=lambda run: run.started)",
        "sorted(runs, key=lambda run: run.started, reverse=True)",
        "tests/compare/test_compare_repeated_runs.py::test_the_newest_repetition_is_compared",
    ),
    Fault(
        "the last of repeated runs by name is compared",
        "experiments/compare/load_runs.py",
        "sorted(runs, key=lambda run: run.started)",
        "sorted(runs, key=lambda run: run.name)",
        "tests/compare/test_compare_repeated_runs.py::test_the_newest_repetition_is_compared",
    ),
    Fault(
        "hyperparameters lack the weight decay",
        "experiments/compare/configuration_identity.py",
        'f"{CALLBACKS}.ModelCheckpoint.dirpath": _FOLDER,',
        'f"{CALLBACKS}.ModelCheckpoint.dirpath": _FOLDER, "model.optimizer.weight_decay": "",',
        "tests/compare/test_compare_optimizer_options.py::test_each_option_makes_a_group",
    ),
    Fault(
        "hyperparameters lack the momentum",
        "experiments/compare/configuration_identity.py",
        'f"{CALLBACKS}.ModelCheckpoint.dirpath": _FOLDER,',
        'f"{CALLBACKS}.ModelCheckpoint.dirpath": _FOLDER, "model.optimizer.momentum": "",',
        "tests/compare/test_compare_optimizer_options.py::test_each_option_makes_a_group",
    ),
    Fault(
        "hyperparameters lack the betas",
        "experiments/compare/configuration_identity.py",
        'f"{CALLBACKS}.ModelCheckpoint.dirpath": _FOLDER,',
        'f"{CALLBACKS}.ModelCheckpoint.dirpath": _FOLDER, "model.optimizer.betas": "",',
        "tests/compare/test_compare_optimizer_options.py::test_each_option_makes_a_group",
    ),
    Fault(
        "the floor fits on train and validation rows",
        "experiments/floor/fit_floor.py",
        "        baseline.fit(train)\n",
        '        fitted = [train, splits["val"]]\n'
        "        inputs = torch.cat([torch.as_tensor(rows.inputs) for rows in fitted]).numpy()\n"
        "        target = torch.cat([rows.target for rows in fitted])\n"
        "        baseline.fit(train._replace(inputs=inputs, target=target))\n",
        "tests/floor/test_floor_fitting.py",
    ),
    Fault(
        "test rows stop gradient boosting",
        "experiments/floor/fit_floor.py",
        'splits.get("val")',
        'splits.get("test")',
        "tests/floor/test_floor_fitting.py::test_gradient_boosting_is_stopped_by_the_validation_rows",
    ),
    Fault(
        "the biases of random kernels come from the rows that are predicted",
        "experiments/floor/random_kernels.py",
        "        x, most = series.x.float(),",
        "        self.fit(series)\n        x, most = series.x.float(),",
        "tests/floor/test_random_kernels.py::test_random_kernels_find_a_shape_at_any_step",
    ),
    Fault(
        "the floor scales category codes as numbers",
        "experiments/floor/baselines.py",
        '[("categories", OneHotEncoder(handle_unknown="ignore"), categorical)], remainder=StandardScaler()',
        '[("categories", StandardScaler(), categorical)], remainder=StandardScaler()',
        "tests/floor/test_floor_fitting.py::test_the_linear_baseline_is_scikit_learns_of_the_train_rows",
    ),
    Fault(
        "the first test rows are kept for an export",
        "experiments/run/record/export_samples.py",
        "torch.linspace(0, len(rows) - 1, count, dtype=torch.float64).round().long()",
        "torch.arange(count)",
        "tests/run/record/test_export_sample_rows.py::test_the_kept_rows_are_spread_over_all_test_rows",
    ),
    Fault(
        "every class of torch may be named",
        "experiments/import_allowlist.py",
        '    "torch.nn",\n    "torch.optim",\n',
        '    "torch",\n',
        "tests/cli/test_class_path_allowlist.py::test_other_classes_of_torch_are_refused_on_the_command_line",
    ),
    Fault(
        "a response reports a bad row of another request",
        "experiments/serve/batching.py",
        '(frame.filter(inside).with_columns(polars.col("row") - first) for frame in (whole.rows, whole.bad))',
        '(whole.rows.filter(inside).with_columns(polars.col("row") - first), whole.bad)',
        "tests/serve/test_serve_batched_requests.py::test_no_row_of_another_request_is_in_a_response",
    ),
    Fault(
        "a response numbers the rows of all requests",
        "experiments/serve/batching.py",
        'frame.filter(inside).with_columns(polars.col("row") - first) for frame',
        "frame.filter(inside) for frame",
        "tests/serve/test_serve_batched_requests.py::test_no_row_of_another_request_is_in_a_response",
    ),
]
