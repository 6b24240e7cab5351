"""The configuration: from plain values and back, one field overridden, mistakes in a sentence."""

import pytest

from sst import config as configs
from sst.config import Config, ModelConfig, SegmentConfig
from sst.errors import UsageError


def test_a_configuration_survives_the_way_through_plain_values():
    given = configs.override(Config(name="x"), "model.latent_dim", "7")
    assert given.model.latent_dim == 7
    assert configs.from_dict(Config, configs.to_dict(given)) == given


def test_a_configuration_from_before_there_was_a_choice_is_of_float32():
    old = configs.to_dict(Config())
    del old["model"]["precision"]
    assert configs.from_dict(Config, old) == Config()


def test_another_precision_is_refused_in_a_sentence():
    with pytest.raises(UsageError, match="^model.precision='half' should be float32 or bfloat16$"):
        configs.from_dict(ModelConfig, {"precision": "half"})
    with pytest.raises(UsageError, match="should be float32 or bfloat16"):
        configs.override(Config(), "model.precision", "float16")


@pytest.mark.parametrize(
    "key, value",
    [("sensitivity", 1.1), ("min_gap_s", 0.0), ("max_segments", 0), ("max_minutes", 0)],
)
def test_settings_out_of_range_are_refused(key, value):
    with pytest.raises(UsageError, match=f"segments.{key}"):
        configs.from_dict(SegmentConfig, {key: value})
