PYTHON ?= python3
BIN := .venv/bin

BENCH ?=

.PHONY: demo test test-slurm bench bench-growth bench-data bench-predict bench-inference bench-serve bench-ranks bench-gpu clean

# Five architectures on MNIST-1D, side by side.
demo: .venv/installed
	$(BIN)/evenhand demo

# The whole suite on two cores, ruff and mypy. A file stays in one process, so that servers and runs that its tests share
# are made once; in the order of their names, so that the last ones are short.
test: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

# Runs and sweeps on a SLURM cluster that the tests start on this machine, with Debian's packages, which it installs.
test-slurm: .venv/installed
	apt-get install --quiet --yes --no-install-recommends slurm-wlm munge
	OMP_NUM_THREADS=1 $(BIN)/pytest -m slow tests/run/distributed/test_slurm.py tests/sweep/test_slurm_cluster.py

# An epoch of ours beside loops written by hand, in a quarter of an hour; BENCH="--only cnn --peers" says more.
bench: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_training.py $(BENCH)

# Time and memory a row as rows, columns, metrics and runs grow.
bench-growth: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_growth.py $(BENCH)

# One-pass statistics beside a plain read of the same rows; takes 2.6 GB of $$TMPDIR for a minute.
bench-data: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_statistics.py

# Predicting a million rows against reading them and the bare network.
bench-predict: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_predict.py

# ONNX artefacts against the networks they were made of, at batch 1 and 1,024 on one core.
bench-inference: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_inference.py

# Requests a second of a server, one at a time and many at once.
bench-serve: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_serve.py

# Two processes of one thread each against one; wants two free cores.
bench-ranks: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_ranks.py

# One GPU: a fit beside the hand-written loop and the chip's rate at matrices.
bench-gpu: .venv/installed
	$(BIN)/python tests/benchmarks/bench_gpu.py

# Made anew only when what is to be installed has changed.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --constraint constraints.txt 'torch==2.13.0'
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv *.egg-info
