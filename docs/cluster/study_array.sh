#!/bin/bash
# A study on a SLURM cluster: every task of the array is one worker of the same run directory, on a
# file system that all nodes see. Tasks may start, stop and be killed at any time; submit the file
# again to go on. Make the run directory first, then submit:
#
#   jaxmed study plan optimal-composite/table-3 --out /shared/table-3
#   sbatch --export=ALL,RUN=/shared/table-3 docs/cluster/study_array.sh
#
# When the array is done (jaxmed study status /shared/table-3), write the tables and the page:
#
#   jaxmed study resume /shared/table-3 --workers 1
#
# A study of your own is named again, since the directory does not choose what is run: add
# STUDY=/shared/my_study.py:STUDY to --export, and --study /shared/my_study.py:STUDY to resume.
#
#SBATCH --job-name=jaxmed-study
#SBATCH --array=0-31
#SBATCH --cpus-per-task=2
#SBATCH --mem=4G
#SBATCH --time=04:00:00
#SBATCH --signal=B:TERM@30
#SBATCH --requeue

set -euo pipefail
# The size of XLA's thread pool (NPROC) comes from the plan, not from the node: the same bytes
# everywhere. Nodes should have the same model of processor.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
exec jaxmed study work "$RUN" ${STUDY:+--study "$STUDY"} --worker "$SLURM_ARRAY_TASK_ID"
