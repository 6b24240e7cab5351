"""The whole evaluation of one model: from its name to a report.

Start with `evaluate`: it reads the sounds, prepares the systems, makes their sounds, and measures.
"""

import datetime
import os
import platform
from pathlib import Path
from typing import Any, NamedTuple

from sst import inference
from sst.config import AudioConfig, to_dict
from sst.evaluation import classification, definitions, examples, latent, systems
from sst.evaluation import reference_classifier as reference
from sst.evaluation import sounds as sources
from sst.evaluation.classification import OURS
from sst.evaluation.clock import Clock
from sst.evaluation.figures import Absent
from sst.evaluation.material import Material, Request, gather
from sst.evaluation.reference_classifier import ReferenceClassifier
from sst.evaluation.sections import compare_goals, measure
from sst.evaluation.sounds import Progress, Sounds
from sst.evaluation.systems import System
from sst.evaluation.waves import make_waves
from sst.inference import Model
from sst.model import export_format
from sst.report.media import Exhibit

# The systems and figures that are learned from training sounds.
LEARNED_SYSTEMS = "PCA-64, SampleVAE-like VAE, nearest training sound, memorised share, recognition"


class Result(NamedTuple):
    """The report and the audio examples for its page, as `report.write` takes them."""

    report: dict[str, Any]
    exhibits: list[Exhibit]
    audio: AudioConfig


def evaluate(request: Request, say: Progress = lambda text: None) -> Result:
    """Measures a model beside simpler systems, on sounds that it was not trained on.

    Raises:
        UsageError: wrong folders or classes, or nothing to evaluate on was named.
        ModelError: no such model, or a dataset that does not fit it.
        NothingToDo: no dataset, or no audio.
    """
    clock, seed = Clock(say), request.seed
    classes = None if request.classes is None else sources.read_classes(request.classes)
    model = inference.load(request.model)
    audio = model.config.audio
    with clock("reading the sounds"):
        material = gather(request, model, classes, say)
    with clock("preparing the systems"):
        chosen, absent = choose_systems(request, model, material, say)
        classifier = _reference_classifier(material.train, audio.sample_rate, seed)
    waves = make_waves(chosen, material.held_out, seed, clock)
    tables = measure(material, chosen, waves, classifier, audio, seed, clock)
    with clock("timing the model"):
        figures = latent.measure(model, material.held_out, seed)
    tables.sections["model"]["rows"][OURS] = chosen[OURS].row(figures)
    report = {
        "schema": definitions.SCHEMA,
        "model": _about_model(request, model),
        "sounds": _about_sounds(material),
        "classifier": _about_classifier(classifier),
        "run": _about_run(request, clock),
        "notes": material.notes,
        "goals": compare_goals(tables.sections),
        "sections": tables.sections,
        "confusion": tables.confusion,
        "absent": [
            {"what": what, "why": one.reason} for what, one in (absent | tables.absent).items()
        ],
    }
    exhibits = examples.make_exhibits(chosen, material.held_out, waves, seed)
    return Result(report, exhibits, audio)


def choose_systems(
    request: Request, model: Model, material: Material, say: Progress
) -> tuple[dict[str, System], dict[str, Absent]]:
    """Returns the systems in the order of the tables, and those that are absent."""
    rate, train, seed = model.config.audio.sample_rate, material.train, request.seed
    chosen, absent = systems.of_model(model, seed), {}
    if isinstance(train, Absent):
        absent[LEARNED_SYSTEMS] = train
    else:
        chosen |= systems.principal_components(train, model.config, seed)
        if request.sample_vae_steps:
            say(f"training the SampleVAE-like model on {train.size:,} sounds")
            chosen |= systems.sample_vae(train, rate, seed, request.sample_vae_steps)
        else:
            absent["SampleVAE-like VAE"] = Absent("left out by --no-samplevae")
        chosen |= systems.nearest_training_sound(train)
        if chosen[OURS].classify is not None:
            chosen |= classification.nearest_neighbours(train, rate)
    return chosen | systems.without_training(rate), absent


def _about_model(request: Request, model: Model) -> dict[str, Any]:
    return {
        "name": Path(request.model).name,
        "digest": model.digest,
        "sample_rate": model.config.audio.sample_rate,
        "latent_dim": model.config.model.latent_dim,
        "facts": export_format.load_model(export_format.find_model(request.model)).facts,
        "config": to_dict(model.config),
    }


def _about_sounds(material: Material) -> dict[str, Any]:
    def about(sounds: Sounds | Absent) -> dict[str, Any] | None:
        if isinstance(sounds, Absent):
            return None
        counts = {name: sounds.classes.count(name) for name in sounds.class_names}
        return {"files": sounds.size, "packs": len(set(sounds.packs)), "classes": counts}

    return {
        "dataset": material.dataset and material.dataset.name,
        "fingerprint": material.dataset and material.dataset.fingerprint,
        "held_out": about(material.held_out),
        "train": about(material.train),
    }


def _about_run(request: Request, clock: Clock) -> dict[str, Any]:
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "command": request.command,
        "seed": request.seed,
        "limit": request.limit,
        "cpu_s": round(sum(clock.stages.values()), 1),
        "stages_cpu_s": clock.stages,
    }


def _reference_classifier(
    train: Sounds | Absent, sample_rate: int, seed: int
) -> ReferenceClassifier | Absent:
    if isinstance(train, Absent):
        return train
    return reference.train(train, sample_rate, seed)


def _about_classifier(classifier: ReferenceClassifier | Absent) -> dict[str, Any]:
    if isinstance(classifier, Absent):
        return {"why": classifier.reason}
    fitted = classifier.fitted
    f1 = fitted.held_out_f1
    return {
        "classes": list(classifier.names),
        "macro_f1": None if f1 != f1 else round(f1, 4),  # nan: no second pack to test on
        "temperature": round(fitted.temperature, 4),
    }
