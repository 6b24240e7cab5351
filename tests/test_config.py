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
    with pytest.raises(UsageError, match="^model.precision='half' should be float32 or bfloat16.$"):
        configs.from_dict(ModelConfig, {"precision": "half"})
    with pytest.raises(UsageError, match="should be float32 or bfloat16"):
        configs.override(Config(), "model.precision", "float16")


@pytest.mark.parametrize(
    "key, value, rule",
    [
        ("sensitivity", 1.1, "0 to 1"),
        ("min_gap_s", 0.0, "0.02 to 10 seconds"),
        ("max_segments", 0, "1 to 10000"),
        ("max_minutes", 0.0, "0.1 to 240 minutes"),
    ],
)
def test_settings_out_of_range_are_refused_with_their_rule(key, value, rule):
    with pytest.raises(UsageError, match=rf"^segments.{key}={value} should be {rule}\.$"):
        configs.from_dict(SegmentConfig, {key: value})
