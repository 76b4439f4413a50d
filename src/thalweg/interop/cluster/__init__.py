"""Clusters: campaigns whose workers run on many machines, by Dask."""
