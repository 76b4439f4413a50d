"""What trajectories say of a Langevin model: pieces of them, steps of every kind, and parameters that suit them best."""
