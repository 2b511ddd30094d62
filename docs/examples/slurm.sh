#!/bin/bash
# One run on two machines with four GPUs each, requeued where its time ends or it is preempted.
#   sbatch docs/examples/slurm.sh -c my_experiment.yaml
# Options of sbatch select other machines, here two with two processes on CPUs each:
#   sbatch --ntasks-per-node 2 --gpus-per-node 0 docs/examples/slurm.sh -c my_experiment.yaml --trainer.accelerator cpu
#SBATCH --job-name=evenhand
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=evenhand-%j.txt
# SIGTERM two minutes before the time limit: the processes save within ten steps and end with exit code 143.
#SBATCH --signal=TERM@120

# The job's id names the run. A requeued job keeps its id, and so resumes the run. The run's folder must be on a file
# system that all machines share: --trainer.default_root_dir /shared/results
# A process that ends does not kill the others, which may still be saving.
srun --kill-on-bad-exit=0 --cpus-per-task "$SLURM_CPUS_PER_TASK" evenhand fit --trainer.accelerator gpu \
    --trainer.devices "$SLURM_NTASKS_PER_NODE" --trainer.num_nodes "$SLURM_JOB_NUM_NODES" "$@"
code=$?

# 143, 138: the time limit, by SIGTERM or SIGUSR1. 137, which hides the 4 of the others: a process was killed; the job is requeued three times at
# most. SLURM itself requeues the job if a machine fails.
case $code in
138 | 143) scontrol requeue "$SLURM_JOB_ID" ;;
4 | 137)
    echo "killed" >>"evenhand-$SLURM_JOB_ID.killed"
    [ "$(wc -l <"evenhand-$SLURM_JOB_ID.killed")" -gt 3 ] || scontrol requeue "$SLURM_JOB_ID"
    ;;
esac
exit $code
