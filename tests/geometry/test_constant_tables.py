import pickle
import subprocess
import sys

import numpy as np
import pytest

from thalweg.geometry.constant_tables import AtomTable, Names
from thalweg.geometry.variables import Distances

PAIRS = np.array([[0, 1], [4, 2]])


def test_equal_tables_and_names_are_one_key():
    assert {AtomTable(PAIRS, 2): 1}[AtomTable(PAIRS.tolist(), 2)] == 1
    assert AtomTable(PAIRS, 2) != AtomTable(PAIRS[:1], 2)
    assert {Names(["a", "b"]): 1}[("a", "b")] == 1


def test_a_table_does_not_change_with_the_array_it_was_made_of():
    rows = PAIRS.copy()
    table = AtomTable(rows, 2)
    rows[0, 0] = 7
    assert table.rows == ((0, 1), (4, 2))
    with pytest.raises(ValueError, match="read-only"):
        table.array[0, 0] = 7


def test_what_is_sent_to_another_process_is_the_same_key_there(tmp_path):
    variable = Distances(PAIRS)
    hash(variable.names)
    (tmp_path / "sent").write_bytes(pickle.dumps((variable.table, variable.names)))
    check = (
        "import pickle, sys, pathlib\n"
        "from thalweg.geometry.variables import Distances\n"
        "table, names = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "own = Distances([[0, 1], [4, 2]])\n"
        "assert {own.table: 1}[table] == 1 and {tuple(own.names): 1}[names] == 1\n"
    )
    subprocess.run([sys.executable, "-c", check, str(tmp_path / "sent")], check=True)
