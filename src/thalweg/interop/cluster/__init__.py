"""Clusters: workers on many machines, by Dask, and files that lie where all of them can read."""
