"""The model as a bundle of functions, which training and export take as an argument."""

from collections.abc import Callable
from typing import Any, NamedTuple

from sst.config import Config
from sst.model import network, pca
from sst.model.network import Decoded, Params
from sst.model.objective import Loss, objective
from sst.types import Array, Batch, Features

# (key, config, stats, n_classes=0) -> fresh parameters.
Init = Callable[..., Params]
# (clips, config) -> the constants of a data set, a dictionary of arrays; `clips` has the fields of
# `Features` for all training clips, as NumPy arrays.
DataStats = Callable[[Any, Config], Any]
# (params, stats, features, config) -> mean and log-variance of the posterior, [b, z] each.
Encode = Callable[[Params, Any, Features | Batch, Config], tuple[Array, Array]]
# (params, stats, z [b, z], config) -> the decoded sounds.
Decode = Callable[[Params, Any, Array, Config], Decoded]
# (params, stats, features, config) -> a row for each clip, [b, n].
PerClip = Callable[[Params, Any, Features | Batch, Config], Array]
# (params, stats, batch, key, config, train=False) -> the loss of every example, [b], and its terms
# by their names, [b] each. `key` is that of the noise, None for none; `train` turns augmentation
# and dropout on.
Objective = Callable[..., Loss]


class ModelFunctions(NamedTuple):
    """The pure functions that training needs of a model."""

    init: Init
    data_stats: DataStats
    encode: Encode
    decode: Decode
    embed: PerClip  # search vectors
    class_logits: PerClip  # called only where the parameters have `prototypes`
    objective: Objective


VAE = ModelFunctions(
    init=network.init,
    data_stats=pca.data_stats,
    encode=network.encode,
    decode=network.decode,
    embed=network.embed,
    class_logits=network.class_logits,
    objective=objective,
)
