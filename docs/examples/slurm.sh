#!/bin/bash
# One run on two machines with four GPUs each, requeued where its time ends or it is preempted.
#   sbatch docs/examples/slurm.sh -c my_experiment.yaml
# Other machines by sbatch's own options, here two with two processes on CPUs each:
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
# SIGTERM to the processes two minutes ahead of the end: they save within ten steps and end with exit code 143.
#SBATCH --signal=TERM@120

# The job's id names the run, so that the requeued job, which keeps its id, goes on with it. The run's folder has to be
# on a file system that all machines share: --trainer.default_root_dir /shared/results
# A process that ends does not take the others with it, which may be saving yet.
srun --kill-on-bad-exit=0 --cpus-per-task "$SLURM_CPUS_PER_TASK" evenhand fit --trainer.accelerator gpu \
    --trainer.devices "$SLURM_NTASKS_PER_NODE" --trainer.num_nodes "$SLURM_JOB_NUM_NODES" "$@"
code=$?

# 143: its time is over. 137, which hides the others' 4: a process was killed; three tries more, then a person has to
# look. A machine that fails is SLURM's to find, which requeues the job by itself.
case $code in
143) scontrol requeue "$SLURM_JOB_ID" ;;
4 | 137)
    echo "killed" >>"evenhand-$SLURM_JOB_ID.killed"
    [ "$(wc -l <"evenhand-$SLURM_JOB_ID.killed")" -gt 3 ] || scontrol requeue "$SLURM_JOB_ID"
    ;;
esac
exit $code
