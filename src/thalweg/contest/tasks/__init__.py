"""The five tasks, one file each: all make their problems from a seed, so that a newcomer needs no data."""
