"""The request of an evaluation, and the sounds found for it."""

from typing import NamedTuple

from sst.config import AudioConfig
from sst.data import dataset as datasets
from sst.data.dataset import Dataset
from sst.errors import ModelError, UsageError
from sst.evaluation import sounds as sources
from sst.evaluation import training_copies
from sst.evaluation.baselines import samplevae
from sst.evaluation.figures import Absent
from sst.evaluation.sounds import Progress, Sounds
from sst.inference import Model
from sst.model import export_format
from sst.training import workdir

MAX_TRAIN = 4096  # training sounds that the simpler systems learn from, at random
NO_TRAIN = Absent(
    "no training sounds: give --dataset sample_library/NAME, the one it was trained on"
)


class Request(NamedTuple):
    """The model to evaluate, and the sounds to evaluate it on."""

    model: str
    dataset: str | None = None  # None: the model's own, if it is here
    data_dir: str | None = None
    held_out: tuple[str, ...] = ()  # folders; none: the validation split
    classes: str | None = None  # a file, see `sounds.read_classes`
    limit: int | None = None  # held-out files at most
    seed: int = 0
    sample_vae_steps: int = samplevae.STEPS  # of its training in this run; 0 leaves it out
    command: str = ""  # the command line, for the report


class Material(NamedTuple):
    """The sounds of a run."""

    held_out: Sounds
    train: Sounds | Absent
    dataset: Dataset | None
    notes: list[str]
    classes: dict[str, str] | None = None  # folder label -> class, see `sounds.class_of`


def gather(
    request: Request, model: Model, classes: dict[str, str] | None, say: Progress
) -> Material:
    """Reads the held-out sounds and, where there is a dataset, the training sounds.

    Raises:
        UsageError: nothing to evaluate on was named, or only training sounds were.
        ModelError: the dataset does not fit the model.
        NothingToDo: no such dataset, or no audio.
    """
    audio, notes = model.config.audio, []
    dataset, own = find_dataset(request, model, say)
    held_out = _held_out(request, dataset, own, audio, classes, say)
    train: Sounds | Absent = NO_TRAIN
    if dataset is not None:
        train = sources.from_dataset(dataset, "train", classes, MAX_TRAIN, request.seed)
        if not own:
            notes.append(
                f"The simpler systems learned from {dataset.name}, the model from other sounds."
            )
        held_out = _unseen(held_out, train, audio, notes)
    if classes is not None and not held_out.class_names:
        notes.append(f"None of the held-out folders' labels is in {request.classes}.")
    return Material(held_out, train, dataset, notes, classes)


def find_dataset(request: Request, model: Model, say: Progress) -> tuple[Dataset | None, bool]:
    """Loads the dataset to learn from, and tells if the model was trained on just that.

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


def _held_out(
    request: Request,
    dataset: Dataset | None,
    own: bool,
    audio: AudioConfig,
    classes: dict[str, str] | None,
    say: Progress,
) -> Sounds:
    """Reads the given folders, or the validation split of the model's own dataset."""
    limit, seed = request.limit, request.seed
    if request.held_out:
        return sources.from_folders(request.held_out, audio, classes, limit, seed, say)
    if dataset is None:
        raise UsageError(
            f"{request.model} has no dataset here. Give --held-out FOLDER with sounds that it was "
            "not trained on, or --dataset sample_library/NAME, the one it was trained on."
        )
    if not own:
        raise ModelError(
            f"{dataset.name} is not, or no longer, what {request.model} was trained on, so its "
            "validation split may hold training sounds. Give --held-out FOLDER."
        )
    return sources.from_dataset(dataset, "validation", classes, limit, seed)


def _unseen(held_out: Sounds, train: Sounds, audio: AudioConfig, notes: list[str]) -> Sounds:
    """Returns the held-out sounds that are no copies of training sounds; notes any overlap."""
    copies = training_copies.find(held_out, train, audio)
    kept = held_out.take([row for row in range(held_out.size) if row not in copies])
    if copies:
        notes.append(training_copies.describe(copies, held_out, train))
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
