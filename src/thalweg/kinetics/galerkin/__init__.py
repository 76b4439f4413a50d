"""Galerkin approximations of what reactions are asked: committors, passage times, weights, flux and rates."""
