from pathlib import Path

import pytest

from sst.config import Config, override
from sst.errors import UsageError
from sst.training import workdir


def test_what_may_change_on_resume():
    values = {"name": "other", "optim.factor": "0.3", "optim.min_improvement": "0.1"}
    for key in workdir.CHANGEABLE:
        given = override(Config(), key, values.get(key, "3"))
        assert workdir.reconcile(Config(), given, Path("w")) == given
    with pytest.raises(UsageError, match="seed: saved 0, given 1"):
        workdir.reconcile(Config(), override(Config(), "seed", "1"), Path("w"))
