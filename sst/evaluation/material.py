"""What an evaluation is asked for, and the sounds that it finds for that."""

from typing import NamedTuple

from sst.data import dataset as datasets
from sst.data.dataset import Dataset
from sst.errors import ModelError, UsageError
from sst.evaluation import sounds as sources
from sst.evaluation.baselines import samplevae
from sst.evaluation.sounds import Progress, Sounds
from sst.inference import Model
from sst.model import export_format
from sst.training import workdir

MOST_TRAIN = 4096  # training sounds that the others learn from, at random


class Request(NamedTuple):
    """What to evaluate on what."""

    model: str
    dataset: str | None = None  # None: the model's own, if it is here
    data_dir: str | None = None
    held_out: tuple[str, ...] = ()  # folders; none: the validation split
    classes: str | None = None  # a file, see `sounds.read_classes`
    limit: int | None = None  # held-out files at most
    seed: int = 0
    sample_vae_steps: int = samplevae.STEPS  # of its training in this run; 0 leaves it out
    command: str = ""  # as it was typed, for the report


class Material(NamedTuple):
    """The sounds of a run."""

    held_out: Sounds
    train: Sounds | None
    dataset: Dataset | None
    notes: list[str]
    classes: dict[str, str] | None = None  # folder label -> class, see `sounds.class_of`


def gather(
    request: Request, model: Model, classes: dict[str, str] | None, say: Progress
) -> Material:
    """The held-out sounds and, where there is a dataset, the training sounds."""
    audio, seed, notes = model.config.audio, request.seed, []
    found, own = find_dataset(request, model, say)
    train = found and sources.from_dataset(found, "train", classes, MOST_TRAIN, seed)
    if request.held_out:
        held_out = sources.from_folders(request.held_out, audio, classes, request.limit, seed, say)
    elif found is None:
        raise UsageError(
            f"{request.model} has no dataset here. Give --held-out FOLDER with sounds that it was "
            "not trained on, or --dataset sample_library/NAME, the one it was trained on."
        )
    elif not own:
        raise ModelError(
            f"{found.name} is not, or no longer, what {request.model} was trained on, so its "
            "validation split may hold training sounds. Give --held-out FOLDER."
        )
    else:
        held_out = sources.from_dataset(found, "validation", classes, request.limit, seed)
    if found is not None and not own:
        notes.append(f"The simpler systems learned from {found.name}, the model from other sounds.")
    if train is not None:
        held_out = _apart(held_out, train, notes)
    if classes is not None and not held_out.class_names:
        notes.append(f"None of the held-out folders' labels is in {request.classes}.")
    return Material(held_out, train, found, notes, classes)


def find_dataset(request: Request, model: Model, say: Progress) -> tuple[Dataset | None, bool]:
    """The dataset to learn from, and whether the model was trained on just that.

    Raises:
        NothingToDo: --dataset names one that has not been built.
        ModelError: it was built with another audio configuration.
    """
    folder = export_format.find_model(request.model)
    facts = export_format.load_model(folder).facts
    name, data_dir = request.dataset, request.data_dir
    if name is None:
        source = workdir.read_json(folder.parent / "dataset.json") or {}
        name = source.get("dataset") or str(facts.get("dataset", ""))
        data_dir = data_dir or source.get("data_dir")
        if not name.startswith(f"{datasets.BUILDER}/") or not _is_built(name, data_dir):
            return None, False
    found = datasets.load(name, model.config.audio, data_dir, say)
    return found, found.fingerprint == facts.get("fingerprint")


def _apart(held_out: Sounds, train: Sounds, notes: list[str]) -> Sounds:
    """The held-out sounds that are not among the training sounds; says what overlaps."""
    kept = sources.without_copies(held_out, train)
    if kept.size < held_out.size:
        gone = held_out.size - kept.size
        notes.append(f"{gone:,} held-out sounds are copies of training sounds and were left out.")
    if not kept.size:
        raise UsageError("Every held-out sound is a training sound: give --held-out FOLDER.")
    both = set(kept.packs) & set(train.packs)
    if both:
        notes.append(
            f"{len(both):,} of {len(set(kept.packs)):,} held-out packs have other sounds in "
            "training; --held-out FOLDER with packs of their own is a stricter test."
        )
    return kept


def _is_built(name: str, data_dir: str | None) -> bool:
    root = datasets.data_root(data_dir).joinpath(*name.split("/"))
    return any(root.glob("*.*.*/dataset_info.json"))
