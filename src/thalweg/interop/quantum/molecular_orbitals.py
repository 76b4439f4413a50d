"""Density functionals and wave functions through PySCF: labels of molecules up to CCSD(T).

Functionals by any name that libxc knows, Hartree-Fock, MP2, CCSD and CCSD(T) with analytic gradients, dispersion D3 and
D4, and a polarizable continuum as solvent. Gradients of functionals contain the response of the integration grid, so
that forces are derivatives of the energies. Needs the extra ``quantum`` (pyscf); PySCF works in hartree and bohr; units
end here.

Source: [sun2020].
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from thalweg.labeling.level import LabelFailed, charge_and_unpaired, formula, geometry_trouble
from thalweg.systems.configuration import Configuration
from thalweg.systems.elements import SYMBOLS
from thalweg.units import BOHR, HARTREE

CORRELATED = ("MP2", "CCSD", "CCSD(T)")
DISPERSION = ("d3bj", "d3zero", "d4")
FIELD = 0.002
"""Strength of the electric fields that polarizabilities are differences by [hartree / (e bohr)]."""

SHIFT = 0.005
"""How far atoms are moved where a gradient is a difference of energies [bohr]."""

CORE = 36
"""Elements beyond this number have effective core potentials in the def2 family."""

FIELD_COST, CLUSTER_COST = 8e-4, 1.5e-8
"""Seconds of a mean field and its gradient for each orbital to the power 2.2, and of coupled clusters for each orbital
to the power 4 and occupied one to the power 3: measured from water to benzene, to a factor of three."""

NONLOCAL = 20.0
"""How much longer functionals with nonlocal correlation take."""


@dataclass(frozen=True)
class MolecularOrbitals:
    """A level of theory of PySCF.

    Parameters
    ----------
    method : a functional of libxc such as ``"PBE0"``, ``"B3LYP"``, ``"wB97X-V"``; ``"HF"``, ``"MP2"``, ``"CCSD"`` or
        ``"CCSD(T)"``, of all electrons; forces of CCSD(T) with unpaired electrons are differences of energies
    basis : a basis set that PySCF has
    dispersion : ``"d3bj"``, ``"d3zero"`` or ``"d4"``; empty for none
    solvent : a solvent by name, ``"water"``, or its dielectric constant, as a polarizable continuum; empty for vacuum
    charge : total charge [e] of frames that do not say theirs
    unpaired : number of unpaired electrons of frames that do not say theirs
    properties : of ``"dipole"``, ``"polarizability"`` and ``"shieldings"`` what is wanted besides energy and forces; of
        mean fields only, shieldings of closed shells by HF in vacuum only (they need pyscf-properties)
    density_fitting : whether mean fields fit densities: faster, and off by some 0.01 meV an atom in differences
    grid : of integration, 0 to 9
    tolerance : of the self-consistent energy [hartree]
    memory : PySCF may use about so much [MB]

    Raises
    ------
    ValueError
        If dispersion or properties are unknown, or do not go with the method.
    """

    PROPERTIES: ClassVar[tuple[str, ...]] = ("dipole", "polarizability", "shieldings")

    method: str = "PBE0"
    basis: str = "def2-SVP"
    dispersion: str = ""
    solvent: str = ""
    charge: int = 0
    unpaired: int = 0
    properties: tuple[str, ...] = ("dipole",)
    density_fitting: bool = True
    grid: int = 3
    tolerance: float = 1e-9
    memory: int = 4000

    def __post_init__(self):
        if self.dispersion and self.dispersion.lower() not in DISPERSION:
            raise ValueError(f"dispersion={self.dispersion!r} is unknown; use one of {', '.join(DISPERSION)}")
        if strange := set(self.properties) - set(self.PROPERTIES):
            raise ValueError(
                f"properties {sorted(strange)} are not among those of this level, {', '.join(self.PROPERTIES)}"
            )
        if "shieldings" in self.properties and (self.method.upper() != "HF" or self.solvent):
            raise ValueError(f"shieldings are by HF in vacuum only, not by {self.name}; take HF/{self.basis}")
        if self._correlated and (self.dispersion or self.solvent):
            raise ValueError(
                f"{self.method} goes without dispersion corrections and solvents here; leave them out"
            )

    @property
    def name(self) -> str:
        """As one writes it, ``"PBE0-D3BJ/def2-SVP"``."""
        correction = f"-{self.dispersion.upper()}" if self.dispersion else ""
        return f"{self.method}{correction}/{self.basis}{f' in {self.solvent}' if self.solvent else ''}"

    def provenance(self) -> Mapping[str, str]:
        pyscf = _pyscf()
        settings = {
            "program": "PySCF",
            "version": pyscf.__version__,
            "level": self.name,
            "integration grid": str(self.grid),
            "density fitting": "yes" if self.density_fitting and not self._correlated else "no",
            "convergence [hartree]": f"{self.tolerance:g}",
        }
        return settings | ({"correlated": "all electrons"} if self._correlated else {})

    def check(self, frame: Configuration) -> None:
        """Whether PySCF has method, basis and solvent for these atoms, and their electrons pair.

        Raises
        ------
        ValueError
            If not, or the frame is periodic.
        ImportError
            If PySCF is not installed.
        """
        if any(frame.periodic):
            raise ValueError(
                f"{self.name} is a level for molecules, and the frame of {formula(frame)} has a cell; take the cell "
                "away, or label it by GFN1-xTB or a calculator of ASE that knows crystals"
            )
        charge_and_unpaired(frame, self.charge, self.unpaired)
        self._check_method()
        self._molecule(frame)

    def seconds(self, frame: Configuration) -> float:
        molecule = self._molecule(frame)
        orbitals, occupied, spins = molecule.nao, max(molecule.nelectron // 2, 1), 1 + (molecule.spin > 0)
        fields = 1 + 6 * ("polarizability" in self.properties and not self._correlated)
        nonlocal_ = NONLOCAL if self.method.upper().endswith(("-V", "M-V", "VV10")) else 1.0
        seconds = FIELD_COST * orbitals**2.2 * spins * fields * nonlocal_
        if self.method.upper() not in ("CCSD", "CCSD(T)"):
            return seconds
        energies = 1 if molecule.spin == 0 or self.method.upper() == "CCSD" else 6 * len(frame) + 1
        return seconds + CLUSTER_COST * orbitals**4 * occupied**3 * spins**2 * energies

    def label(self, frame: Configuration) -> Configuration:
        """Energy, forces and properties of a molecule.

        Raises
        ------
        LabelFailed
            If atoms are on top of each other, or neither self-consistent nor coupled-cluster equations converge from
            any start.
        """
        if trouble := geometry_trouble(frame):
            raise LabelFailed(trouble)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PySCF warns of what the result says: whether it has converged
            field = self._converged(self._molecule(frame))
            energy, gradient = self._energy_and_gradient(field)
        return replace(
            frame,
            energy=float(energy) * HARTREE,
            forces=-np.asarray(gradient, float) * HARTREE / BOHR,
            stress=None,
            properties=self._properties(field),
        )

    @property
    def _correlated(self) -> bool:
        return self.method.upper() in CORRELATED

    def _molecule(self, frame):
        gto = _pyscf().gto
        charge, unpaired = charge_and_unpaired(frame, self.charge, self.unpaired)
        symbols = [SYMBOLS[number] for number in frame.numbers]
        atoms = [(symbol, tuple(x)) for symbol, x in zip(symbols, np.asarray(frame.positions, float) / BOHR)]
        heavy = self.basis.lower().startswith("def2") and max(frame.numbers) > CORE
        try:
            return gto.M(
                atom=atoms,
                unit="Bohr",
                basis=self.basis,
                ecp=self.basis if heavy else None,
                charge=charge,
                spin=unpaired,
                verbose=0,
                max_memory=self.memory,
            )
        except Exception as error:
            known = "cc-pVDZ, def2-SVP, def2-TZVP, 6-31G*, aug-cc-pVTZ"
            raise ValueError(
                f"PySCF has no basis {self.basis!r} for all of {', '.join(sorted(set(symbols)))} ({error}); take "
                f"another, such as {known}"
            ) from error

    def _check_method(self):
        if self.method.upper() not in ("HF", *CORRELATED):
            try:
                _pyscf().dft.libxc.parse_xc(self.method)
            except Exception as error:
                raise ValueError(
                    f"PySCF knows no functional {self.method!r} ({error}); give one of libxc such as PBE0, B3LYP, "
                    f"wB97X-V, or HF, {', '.join(CORRELATED)}"
                ) from error
        if self.solvent:
            self._dielectric()

    def _dielectric(self) -> float:
        """Dielectric constant of the solvent."""
        try:
            return float(self.solvent)
        except ValueError:
            known = {name.lower(): values[5] for name, values in _pyscf().solvent.smd.solvent_db.items()}
        if self.solvent.lower() not in known:
            raise ValueError(
                f"solvent={self.solvent!r} is unknown; give one of PySCF's such as water, methanol, toluene, or a "
                "dielectric constant"
            )
        return float(known[self.solvent.lower()])

    def _mean_field(self, molecule):
        pyscf = _pyscf()
        closed = molecule.spin == 0
        if self._correlated or self.method.upper() == "HF":
            field = (pyscf.scf.RHF if closed else pyscf.scf.UHF)(molecule)
        else:
            field = (pyscf.dft.RKS if closed else pyscf.dft.UKS)(molecule)
            field.xc, field.grids.level = self.method, self.grid
        if self.density_fitting and not self._correlated:
            field = field.density_fit()
        if self.dispersion:
            field.disp = self.dispersion.lower()
        if self.solvent:
            field = field.PCM()
            field.with_solvent.eps = self._dielectric()
        field.conv_tol = self.tolerance
        field.conv_tol_grad = self.tolerance**0.5 / 3
        field.max_cycle = 100
        return field

    def _converged(self, molecule):
        """A mean field from the first start that leads to one."""
        for field in self._starts(molecule):
            if field.converged and np.isfinite(field.e_tot):
                return field
        raise LabelFailed(
            f"the self-consistent field of {self.name} did not converge from any of four starts; charge or spin may "
            "be wrong, or bonds half broken"
        )

    def _starts(self, molecule) -> Iterator[Any]:
        field = self._mean_field(molecule)
        field.kernel()
        yield field
        for guess, shift in (("atom", 0.3), ("huckel", 0.6)):
            field = self._mean_field(molecule)
            field.init_guess, field.level_shift, field.damp = guess, shift, 0.3
            field.kernel()
            density = field.make_rdm1()
            field = self._mean_field(molecule)
            field.kernel(dm0=density)
            yield field
        field = self._mean_field(molecule).newton()
        field.kernel()
        yield field

    def _energy_and_gradient(self, field):
        """[hartree, hartree/bohr], with what electrons owe to each other beyond their mean field."""
        pyscf, method = _pyscf(), self.method.upper()
        if method == "MP2":
            perturbed = pyscf.mp.MP2(field).run()
            return perturbed.e_tot, perturbed.nuc_grad_method().kernel()
        if method in CORRELATED:
            return self._coupled_cluster(field)
        gradient = field.nuc_grad_method()
        gradient.grid_response = True
        return field.e_tot, gradient.kernel()

    def _coupled_cluster(self, field):
        pyscf = _pyscf()
        clusters = pyscf.cc.CCSD(field)
        clusters.conv_tol, clusters.max_cycle = self.tolerance, 200
        clusters.kernel()
        if not clusters.converged:
            raise LabelFailed(f"the equations of {self.name} did not converge; bonds may be half broken")
        if self.method.upper() == "CCSD":
            return clusters.e_tot, clusters.nuc_grad_method().kernel()
        if field.mol.spin:
            # analytic gradients of open shells are off by up to 4e-4 hartree/bohr: pyscf/pyscf#3305
            return clusters.e_tot + clusters.ccsd_t(), self._differences(field)
        integrals, multipliers = clusters.ao2mo(), pyscf.cc.ccsd_t_lambda
        # multipliers of CCSD alone, which gradients take if not told, are not those of the triples
        found, one, two = multipliers.kernel(
            clusters, integrals, clusters.t1, clusters.t2, tol=self.tolerance**0.5, verbose=0
        )
        if not found:
            raise LabelFailed(f"the multipliers of {self.name} did not converge; bonds may be half broken")
        gradient = pyscf.grad.ccsd_t.Gradients(clusters).kernel(
            clusters.t1, clusters.t2, one, two, eris=integrals
        )
        return clusters.e_tot + clusters.ccsd_t(eris=integrals), gradient

    def _differences(self, field) -> np.ndarray:
        """Gradient of CCSD(T) by central differences of energies, each from the density of ``field``."""
        places, density = field.mol.atom_coords(), field.make_rdm1()
        gradient = np.zeros(places.size)
        for k in range(places.size):
            for sign in (1, -1):
                moved = places.ravel().copy()
                moved[k] += sign * SHIFT
                gradient[k] += sign * self._triples_energy(field.mol, moved.reshape(-1, 3), density)
        return gradient.reshape(-1, 3) / (2 * SHIFT)

    def _triples_energy(self, molecule, places, density) -> float:
        field = self._mean_field(molecule.set_geom_(places, unit="Bohr", inplace=False))
        field.kernel(dm0=density)
        clusters = _pyscf().cc.CCSD(field)
        clusters.conv_tol, clusters.max_cycle = self.tolerance, 200
        clusters.kernel()
        if not (field.converged and clusters.converged):
            raise LabelFailed(f"{self.name} did not converge beside the geometry; bonds may be half broken")
        return clusters.e_tot + clusters.ccsd_t()

    def _properties(self, field) -> dict[str, np.ndarray]:
        """Dipole [e nm] and polarizability volume [nm^3] of a mean field."""
        if self._correlated:
            return {}
        found = {}
        if "dipole" in self.properties:
            found["dipole"] = np.asarray(field.dip_moment(unit="AU", verbose=0)) * BOHR
        if "polarizability" in self.properties:
            found["polarizability"] = _polarizability(field) * BOHR**3
        if "shieldings" in self.properties:
            found["shieldings"] = _shieldings(field)
        return found


def _polarizability(field) -> np.ndarray:
    """``alpha_ij = d mu_i / d E_j`` (3, 3) by central differences [bohr^3]."""
    still, moments = field.get_hcore(), field.mol.intor("int1e_r")
    start = field.make_rdm1()

    def dipole(direction, strength):
        inside = field.copy()
        # electrons have charge -1: -mu . E = +r . E
        inside.get_hcore = lambda *_: still + strength * moments[direction]
        inside.kernel(dm0=start)
        if not inside.converged:
            raise LabelFailed("the self-consistent field did not converge in an electric field")
        return np.asarray(inside.dip_moment(unit="AU", verbose=0))

    columns = [(dipole(k, FIELD) - dipole(k, -FIELD)) / (2 * FIELD) for k in range(3)]
    tensor = np.stack(columns, axis=1)
    return (tensor + tensor.T) / 2


def _shieldings(field) -> np.ndarray:
    """Isotropic shieldings (atoms,) [ppm], with orbitals that carry their own gauge."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its other modules say that they are under testing
            from pyscf.prop.nmr import rhf
    except ImportError as error:
        raise ImportError(
            "shieldings need pyscf-properties, which has no wheel: pip install pyscf-properties"
        ) from error
    if field.mol.spin:
        raise LabelFailed("shieldings are of closed shells, and electrons of this molecule are unpaired")
    orbitals, occupied = field.mo_coeff, field.mo_coeff[:, field.mo_occ > 0]
    response = field.gen_response(singlet=True, hermi=2)

    def induced(changes):
        """Change of the Fock matrix by imaginary changes of occupied orbitals, one or more together."""
        changes = changes.reshape(-1, orbitals.shape[1], occupied.shape[1])
        halves = 2 * orbitals @ changes @ occupied.T
        return (orbitals.T @ response(halves - halves.transpose(0, 2, 1)) @ occupied).ravel()

    magnetic = rhf.NMR(field)
    magnetic.verbose, magnetic.cphf = 0, induced
    return np.trace(magnetic.kernel(), axis1=1, axis2=2) / 3


def _pyscf():
    try:
        import pyscf.cc
        import pyscf.cc.ccsd_t_lambda
        import pyscf.dft
        import pyscf.grad.ccsd_t
        import pyscf.gto
        import pyscf.mp
        import pyscf.scf
        import pyscf.solvent.smd
    except ImportError as error:
        raise ImportError(
            "density functionals and wave functions need PySCF, which is not installed; pip install 'thalweg[quantum]'"
        ) from error
    return pyscf
