"""Free energies as functions of any number of variables, and what lies on them: minima, saddles, paths, a graph."""
