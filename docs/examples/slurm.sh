#!/bin/bash
# One run on two machines with four GPUs each, requeued where its time ends or it is preempted.
#   sbatch docs/examples/slurm.sh -c my_experiment.yaml
#SBATCH --job-name=evenhand
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=evenhand-%j.txt
# SIGTERM two minutes ahead of the end to this script, which passes it on: the processes save at the next step and end
# with exit code 143.
#SBATCH --signal=B:TERM@120

# The run's folder has to be on a file system that all machines share: --trainer.default_root_dir /shared/results
requeue() {
    kill -TERM "$step"
    wait "$step"
    scontrol requeue "$SLURM_JOB_ID"
    exit 0
}
trap requeue TERM

# The job's id names the run, so that the requeued job, which keeps its id, goes on with it. If one process dies, all
# of them end (--kill-on-bad-exit is SLURM's own net under Evenhand's).
srun --kill-on-bad-exit=1 evenhand fit "$@" \
    --trainer.accelerator gpu --trainer.devices 4 --trainer.num_nodes 2 &
step=$!
wait "$step"
code=$?

# 4: another process of the run died, as with its machine; three tries, then a person has to look.
if [ "$code" -eq 4 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 3 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
