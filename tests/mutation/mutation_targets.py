"""The files that are mutated, by topic."""

TARGETS = {
    "splitting": (
        "datamodules/splitting/splits.py",
        "datamodules/splitting/grouping.py",
        "datamodules/splitting/split_options.py",
        "datamodules/streaming/hash_split.py",
    ),
    "normalization": (
        "datamodules/preprocessing/modules.py",
        "datamodules/preprocessing/normalization.py",
        "datamodules/preprocessing/quantile_map.py",
        "datamodules/preprocessing/running_moments.py",
        "datamodules/preprocessing/series_normalization.py",
    ),
    "encoding": (
        "datamodules/tables/casting.py",
        "datamodules/tables/encoding.py",
        "datamodules/tables/targets.py",
    ),
    "sampling": (
        "datamodules/loading/base_loader.py",
        "datamodules/loading/block_loader.py",
        "datamodules/loading/epoch_order.py",
        "datamodules/loading/global_batch.py",
        "datamodules/loading/tensor_loader.py",
    ),
    "resume": (
        "experiments/run/resume/checkpoint_filter.py",
        "experiments/run/resume/exact_state.py",
        "experiments/run/resume/optimizer_overrides.py",
        "experiments/run/resume/resume_plan.py",
    ),
    "metrics": (
        "lit_models/metrics/classification_metrics.py",
        "lit_models/metrics/evaluation.py",
        "lit_models/metrics/exact.py",
        "lit_models/metrics/regression_metrics.py",
        "lit_models/metrics/row_weights.py",
        "lit_models/metrics/task_metrics.py",
    ),
    "statistics": (
        "experiments/compare/statistics/bayesian_bootstrap.py",
        "experiments/compare/statistics/pairwise_tests.py",
        "experiments/compare/statistics/permutation.py",
        "experiments/compare/statistics/student_t.py",
    ),
    "floors": (
        "experiments/floor/baselines.py",
        "experiments/floor/boosting.py",
        "experiments/floor/features.py",
        "experiments/floor/fit_floor.py",
        "experiments/floor/random_kernels.py",
    ),
    "batching of requests": ("experiments/serve/batching.py",),
    "allow-list of class paths": ("experiments/import_allowlist.py",),
}
