"""What trajectories say of a Langevin model: pieces of them, steps of every kind, parameters that suit them best."""
