#!/bin/bash
# Classifies a folder by 100 tasks of a Slurm array; each writes one part.
#
#     first=$(sbatch --parsable slurm.sh)
#     sbatch --dependency=afterok:$first --wrap 'effnet merge -o rows.parquet parts/*.parquet'
#
# A task that was killed may be queued again: --resume goes on where it stopped. `merge` refuses missing parts.

#SBATCH --job-name=effnet
#SBATCH --array=1-100
#SBATCH --cpus-per-task=8
#SBATCH --mem=4G
#SBATCH --requeue

set -euo pipefail
mkdir -p parts
part=parts/$(printf %03d "$SLURM_ARRAY_TASK_ID").parquet
effnet classify /data/images -o "$part" --resume \
    --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" --threads "$SLURM_CPUS_PER_TASK"
