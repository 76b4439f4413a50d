"""Energies linear in their coefficients: functions of bonds, angles, dihedrals and pairs, summed over terms."""
