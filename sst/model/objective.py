"""The training objective: the loss of every example and its terms."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from sst.config import Config, LossConfig
from sst.model import augment, companding, losses, network, pca
from sst.model.network import Params
from sst.model.pca import Stats
from sst.types import Array, Batch, Key

AFTER_ATTACK_WEIGHT = 0.1  # of the envelope after its peak, where the spectrogram says enough
TAIL_FRAMES = 8  # trained on after the end of a sound: it has to stop
LABEL_SMOOTHING = 0.1  # of the labels

Loss = tuple[Float[Array, " b"], dict[str, Float[Array, " b"]]]  # and its terms by their names


def objective(
    params: Params, stats: Stats, batch: Batch, key: Key | None, config: Config, train: bool = False
) -> Loss:
    """Returns the loss of every example and its terms; the caller applies the batch's mask.

    Args:
        params: trained parameters.
        stats: constants from `pca.data_stats`.
        batch: the clips.
        key: of the posterior's noise; None takes the mean.
        config: the run.
        train: varies the clips first (`augment.vary`), adds the contrastive term, and lets the
            networks compute in `config.model.precision`. Everything else is float32.
    """
    if train:
        params = network.cast(params, config.model.precision)
    if not train or key is None:
        loss, terms, _ = _single_view(params, stats, batch, key, None, config)
        return loss, terms
    first_key, second_key, copy_key, dropout_key, other_dropout_key, key = jax.random.split(key, 6)
    second = augment.vary(batch, second_key, config.audio)
    second = augment.degrade(second, copy_key, config.audio)
    first = augment.vary(batch, first_key, config.audio)
    loss, terms, vectors = _single_view(params, stats, first, key, dropout_key, config)
    # Not a part of evaluations: its value depends on which rows are compared with which.
    other = network.search_vectors(params, stats, second, config, other_dropout_key)
    terms["search_nats"] = losses.contrastive([vectors, other], batch.label, batch.mask)
    return loss + config.loss.search * terms["search_nats"], terms


def _single_view(
    params: Params,
    stats: Stats,
    batch: Batch,
    key: Key | None,
    dropout_key: Key | None,
    config: Config,
) -> tuple[Array, dict[str, Array], Array]:
    """Returns the terms that need no second view of the clips, and the search vectors."""
    mean, logvar = network.encode(params, stats, batch, config)
    noise = 0.0 if key is None else jnp.exp(0.5 * logvar) * jax.random.normal(key, mean.shape)
    terms = _reconstruction_terms(params, stats, batch, mean + noise, config)
    terms["kl_nats"] = losses.kl_to_standard_normal(mean, logvar)
    vectors = network.search_vectors(params, stats, batch, config, dropout_key)
    terms["class_nats"] = _class_term(params, vectors, batch.label)
    weights = _term_weights(config.loss)
    loss = sum(weight * terms[name] for name, weight in weights.items())
    # `kl_nats` reports all of the divergence; only what is above the free nats is penalised.
    loss += config.loss.kl * losses.kl_to_standard_normal(mean, logvar, config.loss.free_nats)
    return loss, terms, vectors


def _term_weights(loss: LossConfig) -> dict[str, float]:
    return {
        "recon": 1.0,
        "delta": loss.delta,
        "tail": loss.tail,
        "length_octaves": loss.length,
        "level_db": loss.level,
        "attack_db": loss.attack,
        "class_nats": loss.search,
    }


def _reconstruction_terms(
    params: Params, stats: Stats, batch: Batch, z: Array, config: Config
) -> dict[str, Array]:
    """Returns the errors of the sounds decoded at `z` against the batch, each [b]."""
    cells, aux = network.decode_cells(params, stats, z, config)
    depth = -companding.lowest(config)
    cells = _clip(cells / depth) * depth
    target = companding.compand(batch.log_mel, config)
    inside, after = losses.frame_weights(batch.n_frames, cells.shape[1], TAIL_FRAMES)
    aux_error = jnp.abs(aux - pca.aux_of(batch))
    return {
        "recon": losses.weighted_l1(target, cells, inside),
        "delta": losses.delta_l1(target, cells, inside),
        "tail": losses.weighted_l1(target, cells, after),
        # Not a part of the loss: in dB, for people to compare.
        "recon_db": losses.weighted_l1(batch.log_mel, companding.expand(cells, config), inside),
        "length_octaves": aux_error[:, 0],
        "level_db": aux_error[:, 1],
        "attack_db": losses.weighted_mean(aux_error[:, 2:], attack_weights(batch.attack)),
    }


def _class_term(params: Params, vectors: Array, label: Array) -> Array:
    """Returns the cross-entropy of the labels given the search vectors, [b]; 0 without classes."""
    if "prototypes" not in params:
        return jnp.zeros(len(vectors))
    prototypes = network.unit(params["prototypes"])
    return losses.class_cross_entropy(vectors, prototypes, label, LABEL_SMOOTHING)


def attack_weights(attack: Float[Array, "b a"]) -> Float[Array, "b a"]:
    """Returns 1 up to the first point within 1 dB of the peak, AFTER_ATTACK_WEIGHT after it."""
    loud = attack > jnp.max(attack, axis=-1, keepdims=True) - 1.0
    before = jnp.cumsum(loud, axis=-1) <= 1
    return jnp.where(before, 1.0, AFTER_ATTACK_WEIGHT)


@jax.custom_vjp
def _clip(cells: Array) -> Array:
    """Cuts values to [-1, 0]; gradients pass where they lead inside, and only there.

    Without the gradient a value outside would never come back; with all of it the differences
    along time and frequency would push values outside ever farther, at no cost.
    """
    return jnp.clip(cells, -1.0, 0.0)


def _clip_forward(cells: Array) -> tuple[Array, Array]:
    return _clip(cells), cells


def _clip_backward(cells: Array, gradient: Array) -> tuple[Array]:
    outwards = ((cells < -1.0) & (gradient > 0.0)) | ((cells > 0.0) & (gradient < 0.0))
    return (jnp.where(outwards, 0.0, gradient),)


_clip.defvjp(_clip_forward, _clip_backward)
