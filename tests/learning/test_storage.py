"""What is saved is what is loaded, and nothing else can be."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.learned_potentials.terms.term import Weights
from thalweg.learning.storage import VERSION, load_tree, save_tree
from thalweg.representations.environments import Neighborhoods
from thalweg.sampling.bias.method import Limits
from thalweg.systems.configuration import Configuration


def test_every_plain_value_returns_with_its_type(tmp_path):
    tree = (None, True, 3, -0.1, float("inf"), "é", [1, (2,)], {1: "a", "1": "b", (1, 2): 0.5, None: []})
    again = load_tree(save_tree(tmp_path / "tree", tree))
    assert again == tree
    assert [type(value) for value in again] == [type(value) for value in tree]
    assert np.isnan(load_tree(save_tree(tmp_path / "tree", float("nan"))))


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.int8).reshape(2, 3),
        np.array([1.5, np.nan, -np.inf], np.float16),
        np.asfortranarray(np.random.default_rng(0).normal(size=(4, 3))),
        np.zeros((0, 3), np.float32),
        np.array("text"),
        np.array([1 + 2j]),
        jnp.arange(3, dtype=jnp.bfloat16),
        np.float32(0.1),
        np.float64(0.1),
        np.bool_(True),
    ],
    ids=lambda array: f"{type(array).__name__} {array.dtype}",
)
def test_arrays_keep_their_bits(tmp_path, array):
    again = load_tree(save_tree(tmp_path / "tree", {"x": array}))["x"]
    assert again.dtype == array.dtype
    assert again.shape == array.shape
    assert isinstance(again, jax.Array) == isinstance(array, jax.Array)
    assert isinstance(again, np.generic) == isinstance(array, np.generic)
    assert np.asarray(again).tobytes() == np.asarray(array).tobytes()


def test_jax_arrays_of_64_bits_stay_so(tmp_path):
    with jax.enable_x64(True):
        array = jnp.array([0.1])
    assert load_tree(save_tree(tmp_path / "tree", array)).dtype == np.float64


def test_modules_and_dataclasses_work_as_before(tmp_path):
    frame = Configuration(np.array([1, 1]), np.array([[0, 0, 0], [0, 0, 0.12]]), info={"group": 3})
    near = Neighborhoods.of([frame], (1,), 0.2)
    module, same, weights = load_tree(save_tree(tmp_path / "tree", (near, frame, Weights(force=3.0))))
    points = frame.positions.T
    assert (module.environments(points).distances == near.environments(points).distances).all()
    assert jax.tree_util.tree_structure(module) == jax.tree_util.tree_structure(near)
    assert (same.positions == frame.positions).all()
    assert same.info == frame.info
    assert weights == Weights(force=3.0)


def test_named_tuples_keep_their_class_and_others_are_refused(tmp_path):
    limits = load_tree(save_tree(tmp_path / "tree", {"at": Limits(np.zeros(1), np.ones(1), np.full(1, 0.1))}))
    assert type(limits["at"]) is Limits
    assert limits["at"].widths == 0.1
    for name, items in (("sampling.Limits", [1, 2]), ("systems.Configuration", [1]), ("sampling.drive", [])):
        tree = {"format": "thalweg tree", "version": VERSION, "tree": {"is": name, "items": items}}
        with pytest.raises(ValueError, match="of which it has no items; refused"):
            load_tree(_archive(tmp_path / "tree", tree))


def test_the_same_tree_gives_the_same_bytes(tmp_path):
    tree = {"a": np.arange(3), "b": 1.0}
    assert save_tree(tmp_path / "a", tree).read_bytes() == save_tree(tmp_path / "b", tree).read_bytes()


def test_what_is_not_plain_is_refused_by_its_place_and_leaves_nothing(tmp_path):
    save_tree(tmp_path / "tree", 1)
    with pytest.raises(TypeError, match=r"tree\['terms'\]\[1\] is a builtins.function"):
        save_tree(tmp_path / "tree", {"terms": (1, lambda x: x)})
    with pytest.raises(TypeError, match="array of objects"):
        save_tree(tmp_path / "tree", np.array([None]))
    with pytest.raises(TypeError, match="key_data"):
        save_tree(tmp_path / "tree", jax.random.key(0))
    assert load_tree(tmp_path / "tree") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]


def test_a_file_cut_off_or_damaged_anywhere_is_told(tmp_path):
    path = save_tree(tmp_path / "tree", {"x": np.arange(40.0)})
    whole = path.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="copy or save it again"):
            load_tree(path)
    middle = whole.index(np.arange(40.0).tobytes()) + 100
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    with pytest.raises(ValueError, match="copy or save it again"):
        load_tree(path)


def test_foreign_files_are_told_from_ours(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(3))
    with pytest.raises(ValueError, match="was not written by thalweg"):
        load_tree(tmp_path / "a.npz")
    later = {"format": "thalweg tree", "version": 99, "written_by": "9.9", "tree": 1}
    with pytest.raises(ValueError, match=r"reads version 2; use thalweg 9\.9, which wrote it"):
        load_tree(_archive(tmp_path / "b", later))
    with pytest.raises(ValueError, match="names modules, which have moved since: make it again"):
        load_tree(_archive(tmp_path / "b", {"format": "thalweg tree", "version": 1, "tree": 1}))
    with pytest.raises(ValueError, match="says it is 'else'"):
        load_tree(_archive(tmp_path / "b", {"format": "else", "version": 1, "tree": 1}))


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "os:system",
        "subprocess.Popen",
        "dataclasses.Field",
        "learning.os",
        "learning.storage",
        "learning.__builtins__",
        "thalweg.learning.storage:Path",
        "systems.configuration.Configuration",
        "systems.Configuration.__init__",
        "learning.save_tree",
        "learned_potentials.Learner",
        "nothing.Here",
        "",
        7,
    ],
)
def test_only_dataclasses_with_a_name_are_made(tmp_path, name):
    tree = {"is": name, "fields": {}}
    with pytest.raises(ValueError, match=r"made of nothing known|is no dataclass"):
        load_tree(_archive(tmp_path / "tree", {"format": "thalweg tree", "version": VERSION, "tree": tree}))


def test_a_class_without_a_public_name_is_not_saved(tmp_path):
    @dataclass
    class Mine:
        x: int

    with pytest.raises(TypeError, match=r"tree\[0\] cannot be saved: .* is on no face"):
        save_tree(tmp_path / "tree", [Mine(1)])


def test_a_field_that_came_later_takes_its_default_and_one_without_is_missed(tmp_path):
    fields = {"numbers": [1], "positions": [[0, 0, 0]]}
    tree = {"is": "systems.Configuration", "fields": fields}
    tree = {"format": "thalweg tree", "version": VERSION, "tree": tree}
    assert load_tree(_archive(tmp_path / "a", tree)).periodic == (False, False, False)
    del fields["numbers"]
    with pytest.raises(ValueError, match="lacks numbers"):
        load_tree(_archive(tmp_path / "a", tree))
    fields["color"] = "red"
    with pytest.raises(ValueError, match="has 'color'"):
        load_tree(_archive(tmp_path / "a", tree))


def _archive(path, description):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tree.json", json.dumps(description))
    return path
