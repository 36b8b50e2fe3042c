"""Runs on a SLURM cluster, through its own commands: sbatch, squeue, sacct, scancel.

Plain sbatch rather than submitit: a run's folder already holds all that a job needs to begin, to go
on and to say where it stands, so what is left to send is a script. That script lies in the run's
folder, can be read, and can be submitted again by hand. Submitit would send a pickled function and
keep a second record beside the run's own.
"""
