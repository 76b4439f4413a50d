"""Langevin models: free energy, friction, mass and memory of variables, by the likelihood of their trajectories."""
