"""Classification against answers that are known."""

import numpy as np
import pytest

from sst.evaluation import classification, definitions
from sst.evaluation.figures import Absent
from sst.evaluation.material import Material
from sst.evaluation.systems import System, of_model
from tests import small_model
from tests.made_sounds import made

NAMES = ("hat", "kick", "snare")


def stub_system(answer, names=NAMES, title="SST"):
    """A system whose probabilities are those that `answer` gives for the true kind."""
    return System(
        title,
        classify=lambda sounds: np.array([answer(kind) for kind in sounds.classes]),
        class_names=names,
    )


def one_hot(kind, names=NAMES):
    return [float(kind == name) for name in names]


NO_TRAIN = Absent("no training sounds")


def material(held_out, train=NO_TRAIN, classes=None):
    return Material(held_out, train, None, [], classes)


def scores(system, held_out, classes=None):
    rows, (table, *_) = classification.measure(
        {"model": system}, material(held_out, classes=classes), 0
    )
    figures = rows["model"]["figures"]
    assert set(figures) == set(definitions.CLASSES)
    return {name: figure["value"] for name, figure in figures.items()}, table, figures


def test_a_perfect_classifier_scores_one_with_an_identity_confusion_matrix():
    values, table, figures = scores(stub_system(one_hot), made(30))
    assert values == {"macro_f1": 1.0, "accuracy": 1.0, "calibration": 0.0}
    assert figures["macro_f1"]["low"] == figures["macro_f1"]["high"] == 1.0
    assert table["classes"] == table["columns"] == list(NAMES)
    np.testing.assert_array_equal(table["counts"], 10 * np.eye(3))


def test_a_constant_classifier_has_the_share_of_its_class_as_accuracy():
    values, table, figures = scores(stub_system(lambda kind: one_hot("kick")), made(30, packs=5))
    assert values["accuracy"] == pytest.approx(1 / 3)
    assert values["macro_f1"] == pytest.approx(0.5 / 3)  # 2 * 10 / (10 + 30), and twice nothing
    assert values["calibration"] == pytest.approx(2 / 3)
    np.testing.assert_array_equal(np.array(table["counts"])[:, 1], 10)
    assert figures["accuracy"]["n"] == 30


def test_macro_f1_and_its_interval_are_those_of_scikit_learn(rng):
    from sklearn.metrics import f1_score

    held_out = made(60, packs=6)
    shares = rng.dirichlet(np.ones(3), 60)
    system = System("SST", classify=lambda sounds: shares, class_names=NAMES)
    values, _, figures = scores(system, held_out)
    predicted = [NAMES[row] for row in shares.argmax(axis=1)]
    assert values["macro_f1"] == pytest.approx(
        f1_score(held_out.classes, predicted, average="macro")
    )
    assert figures["macro_f1"]["low"] < values["macro_f1"] < figures["macro_f1"]["high"]


def test_labels_are_joined_to_classes_and_the_others_do_not_count():
    table = {"kick": "drum", "snare": "drum", "hat": "metal"}
    names = ("hat", "kick", "misc", "snare")
    right = {"kick": [0.1, 0.1, 0.6, 0.2], "snare": [0.1, 0.2, 0.6, 0.1], "hat": [0.3, 0, 0.7, 0]}
    held_out = made(30)
    held_out = held_out._replace(classes=[table[kind] for kind in held_out.classes])
    system = System(
        "SST",
        classify=lambda sounds: np.array([right[name.split("/")[2]] for name in sounds.ids]),
        class_names=names,
    )
    values, confusion, _ = scores(system, held_out, table)
    assert (values["accuracy"], confusion["columns"]) == (1.0, ["drum", "metal"])
    assert values["calibration"] == pytest.approx((20 * 0.25 + 10 * 0.0) / 30)


def test_sounds_of_other_classes_are_left_out_and_counted():
    system = stub_system(lambda kind: one_hot(kind, ("hat", "kick")), ("hat", "kick"))
    values, table, figures = scores(system, made(30))
    assert (values["accuracy"], figures["accuracy"]["n"]) == (1.0, 20)
    assert "10 held-out sounds" in table["intro"]


@pytest.mark.parametrize(
    ("system", "classes", "why"),
    [
        (System("SST"), None, "without classes"),
        (stub_system(one_hot), {"bd": "bass drum"}, "no held-out sound"),
    ],
)
def test_it_says_why_it_cannot_be_measured(system, classes, why):
    found = classification.measure({"model": system}, material(made(6), classes=classes), 0)
    assert why in found.reason


def test_a_model_without_classes_has_none_here():
    assert of_model(small_model.untrained(), 0)["model"].classify is None
    assert of_model(small_model.with_classes(), 0)["model"].class_names == ("kick", "snare", "hat")


def test_nearest_neighbours_tell_kicks_from_hats():
    train, held_out = made(36, packs=4), made(18, packs=3, seed=1)
    systems = {"model": stub_system(one_hot)} | classification.nearest_neighbours(train, 16_000)
    rows, (_, table) = classification.measure(systems, material(held_out, train), 0)
    assert rows["mfcc_vote"]["figures"]["accuracy"]["value"] > 0.9
    assert np.trace(table["counts"]) > 16
    assert classification.nearest_neighbours(made(9, packs=1), 16_000) == {}
