"""Shapes and types in signatures are checked under pytest; moving a module must not end that."""

import configparser
import importlib
import importlib.util

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from sst import inference
from sst.dsp import features, pitch
from sst.model import losses, network, pca, prior
from sst.training import step as training_step
from tests import small_model
from tests.test_layering import ROOT

CONFIG = small_model.CONFIG


def checked() -> list[str]:
    """The names that setup.cfg gives to the jaxtyping import hook, without the checker's."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    options = parser["tool:pytest"]["addopts"].split()
    (names,) = (o.removeprefix("--jaxtyping-packages=") for o in options if "jaxtyping" in o)
    return names.split(",")[:-1]


@pytest.mark.parametrize("name", checked())
def test_what_is_to_be_checked_is_there(name):
    assert importlib.util.find_spec(name) is not None


def test_every_function_of_arrays_is_checked():
    for name in ("sst.dsp", "sst.model", "sst.inference", "sst.training.step"):
        assert name in checked()


WRONG = {
    "losses": lambda: losses.kl_to_standard_normal(np.zeros((2, 3)), np.zeros((2, 4))),
    "features": lambda: features.log_mel(np.zeros((2, 100), np.float32), CONFIG.audio),
    "pitch": lambda: pitch.pitch_hz(np.zeros((2, 100), np.float32), 16_000),
    "network": lambda: network.decode({}, {}, np.zeros(8, np.float32), CONFIG),
    "pca": lambda: pca.restore(np.zeros(8, np.float32), {}, CONFIG),
    "prior": lambda: prior.fit(np.zeros((2, 3, 4), np.float32)),
    "inference": lambda: inference.interpolate(np.zeros((1, 8)), np.zeros(8), 3),
    "step": lambda: training_step.check_batch("8", 1),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_shape_is_refused(name):
    with pytest.raises(TypeCheckError):
        WRONG[name]()
