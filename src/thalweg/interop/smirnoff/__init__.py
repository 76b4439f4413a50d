"""Torsion terms in the format of the Open Force Field initiative, and as forces of OpenMM."""
