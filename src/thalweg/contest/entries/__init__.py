"""Entries of our own, one file each against the protocol of all: a method and a null model for each task."""
