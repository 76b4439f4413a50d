"""Free energies of many variables from a classifier of real against fake conformations."""
