"""The chemical elements: symbols, masses and sizes, from hydrogen to curium.

Masses are standard atomic weights [meija2016] (for elements without stable isotopes, the mass of a long-lived one),
radii those of single bonds in crystals [cordero2008].
"""

from __future__ import annotations

import numpy as np

SYMBOLS = tuple(
    """
    X H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr
    Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb
    Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm
    """.split()
)
"""Symbol by atomic number; ``X`` for none."""

MASSES = np.array(
    """
    0 1.008 4.002602 6.94 9.012183 10.81 12.011 14.007 15.999 18.998403 20.1797 22.989769 24.305
    26.981538 28.085 30.973762 32.06 35.45 39.948 39.0983 40.078 44.955908 47.867 50.9415 51.9961
    54.938044 55.845 58.933194 58.6934 63.546 65.38 69.723 72.63 74.921595 78.971 79.904 83.798 85.4678
    87.62 88.90584 91.224 92.90637 95.95 97.90721 101.07 102.9055 106.42 107.8682 112.414 114.818 118.71
    121.76 127.6 126.90447 131.293 132.905452 137.327 138.90547 140.116 140.90766 144.242 144.91276
    150.36 151.964 157.25 158.92535 162.5 164.93033 167.259 168.93422 173.054 174.9668 178.49 180.94788
    183.84 186.207 190.23 192.217 195.084 196.966569 200.592 204.38 207.2 208.9804 208.98243 209.98715
    222.01758 223.01974 226.02541 227.02775 232.0377 231.03588 238.02891 237.04817 244.06421 243.06138
    247.07035
    """.split(),
    float,
)
"""Mass by atomic number [amu]; zero for none."""

COVALENT_RADII = np.array(
    """
    0 0.031 0.028 0.128 0.096 0.084 0.076 0.071 0.066 0.057 0.058 0.166 0.141 0.121 0.111 0.107 0.105
    0.102 0.106 0.203 0.176 0.17 0.16 0.153 0.139 0.139 0.132 0.126 0.124 0.132 0.122 0.122 0.12 0.119
    0.12 0.12 0.116 0.22 0.195 0.19 0.175 0.164 0.154 0.147 0.146 0.142 0.139 0.145 0.144 0.142 0.139
    0.139 0.138 0.139 0.14 0.244 0.215 0.207 0.204 0.203 0.201 0.199 0.198 0.198 0.196 0.194 0.192 0.192
    0.189 0.19 0.187 0.187 0.175 0.17 0.162 0.151 0.144 0.141 0.136 0.136 0.132 0.145 0.146 0.148 0.14
    0.15 0.15 0.26 0.221 0.215 0.206 0.2 0.196 0.19 0.187 0.18 0.169
    """.split(),
    float,
)
"""Covalent radius by atomic number [nm]; zero for none."""
