"""Names and options of the data sets; loads no data and no torch."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, JsonValue, model_validator

from hnm_core.data.sizes import class_sizes
from hnm_core.spec.registry import DATASETS, DataOptions, Part

MAX_NUMBERS = 1_000_000_000
"""Most numbers (items times features) that a synthetic set may hold: 4 GB."""


class UnpartedOptions(DataOptions):
    """Base of sets that nobody has published in a training and a test part."""

    @property
    def official_split(self) -> bool:
        """See `DataOptions`."""
        return False


class PartedOptions(DataOptions):
    """Base of sets that are published in a training and a test part."""

    @property
    def official_split(self) -> bool:
        """See `DataOptions`."""
        return True


class MadeUpOptions(UnpartedOptions):
    """Base of sets that are made up as numbers."""


@DATASETS.register("digits", target="hnm_core.data.digits:build")
class DigitsOptions(UnpartedOptions):
    """1,797 handwritten digits, 8 x 8 pixels, 10 classes; ships with scikit-learn."""


@DATASETS.register("near-classes", target="hnm_core.data.synthetic:near_classes")
class NearClassesOptions(MadeUpOptions):
    """Groups of classes that lie close together; random negatives come from other groups and teach little."""

    groups: int = Field(20, ge=1, le=10_000, description="groups, far apart")
    classes_per_group: int = Field(5, ge=1, le=1_000, description="classes in each group, near each other")
    points_per_class: int = Field(30, ge=2, le=100_000, description="items in each class")
    dim: int = Field(32, ge=1, le=4_096, description="number of features")
    group_spread: float = Field(3.0, ge=0, le=1_000, description="spread of the group centres")
    class_spread: float = Field(0.9, ge=0, le=1_000, description="spread of the class centres in a group")
    point_spread: float = Field(0.6, ge=0, le=1_000, description="spread of the items in a class")

    @model_validator(mode="after")
    def _check(self) -> NearClassesOptions:
        classes = self.groups * self.classes_per_group
        if classes < 2:
            raise ValueError("groups = 1 and classes_per_group = 1 make a single class; at least 2 classes are needed")
        _check_size(classes * self.points_per_class, self.dim, "groups, classes_per_group, points_per_class or dim")
        return self


@DATASETS.register("blobs", target="hnm_core.data.synthetic:blobs")
class BlobsOptions(MadeUpOptions):
    """Gaussian blobs, one for each class."""

    classes: int = Field(10, ge=2, le=100_000, description="number of classes")
    points: int = Field(2_000, ge=4, le=10_000_000, description="items in all")
    dim: int = Field(16, ge=1, le=4_096, description="number of features")
    spread: float = Field(1.0, gt=0, le=1_000, description="spread of the items in a blob")
    separation: float = Field(3.0, ge=0, le=1_000, description="spread of the blob centres")

    @model_validator(mode="after")
    def _check(self) -> BlobsOptions:
        _check_two_of_each(self.points, self.classes)
        _check_size(self.points, self.dim, "points or dim")
        return self


@DATASETS.register("noise", target="hnm_core.data.synthetic:noise")
class NoiseOptions(MadeUpOptions):
    """The 2019 demo's set: random labels on uniform noise in (-1, 1); nothing to learn but by heart."""

    classes: int = Field(2, ge=2, le=1_000, description="number of classes")
    points: int = Field(100, ge=4, le=10_000_000, description="items in all")
    dim: int = Field(10, ge=1, le=4_096, description="number of features")

    @model_validator(mode="after")
    def _check(self) -> NoiseOptions:
        _check_two_of_each(self.points, self.classes)
        _check_size(self.points, self.dim, "points or dim")
        return self


@DATASETS.register("rings", target="hnm_core.data.synthetic:rings")
class RingsOptions(MadeUpOptions):
    """Circles around one centre, one for each class; no straight line parts them."""

    classes: int = Field(3, ge=2, le=1_000, description="number of rings")
    points: int = Field(1_500, ge=4, le=10_000_000, description="items in all")
    dim: int = Field(2, ge=2, le=4_096, description="number of features; those after the second are noise")
    noise: float = Field(0.04, ge=0, le=1_000, description="spread of the items; the outermost radius is 1")

    @model_validator(mode="after")
    def _check(self) -> RingsOptions:
        _check_two_of_each(self.points, self.classes)
        _check_size(self.points, self.dim, "points or dim")
        return self


@DATASETS.register("swiss-roll", target="hnm_core.data.synthetic:swiss_roll")
class SwissRollOptions(MadeUpOptions):
    """A rolled-up sheet in 3-D; the classes are strips along it, and turns that touch in space are far apart."""

    classes: int = Field(6, ge=2, le=1_000, description="number of strips along the roll")
    points: int = Field(2_000, ge=4, le=10_000_000, description="items in all")
    turns: float = Field(2.0, ge=0.25, le=20, description="turns of the roll")
    noise: float = Field(
        0.01, ge=0, le=1_000, description="spread of the items off the sheet; the roll is about 2 wide"
    )

    @model_validator(mode="after")
    def _check(self) -> SwissRollOptions:
        _check_two_of_each(self.points, self.classes)
        return self


@DATASETS.register("imbalanced", target="hnm_core.data.wrapped:imbalanced")
class ImbalancedOptions(DataOptions):
    """One class is most of the set and some are a single item; made up, or a part of another set."""

    of: str = Field("", description="data set to take a part of; empty makes one Gaussian for each class")
    of_options: dict[str, Any] = Field(default_factory=dict, description="options of that data set")
    points: int = Field(
        2_000, ge=5, le=10_000_000, description="items in all; fewer where the other set has not enough"
    )
    classes: int = Field(10, ge=2, le=10_000, description="number of classes; that of the other set where there is one")
    largest: float = Field(0.9, gt=0, lt=1, description="share of the largest class")
    singletons: int = Field(2, ge=0, le=9_999, description="classes of one item: negatives, but never anchors")
    dim: int = Field(16, ge=1, le=4_096, description="number of features, where the set is made up")
    separation: float = Field(
        3.0, ge=0, le=1_000, description="spread of the class centres, where the set is made up; classes are 1 wide"
    )

    @model_validator(mode="after")
    def _check(self) -> ImbalancedOptions:
        if self.of:
            _ = self.of_part  # raises what is wrong with it
            return self
        if self.of_options:
            raise ValueError("of_options are options of the data set 'of', which is empty")
        if self.singletons > self.classes - 1:
            raise ValueError(
                f"singletons = {self.singletons} is too many for classes = {self.classes}; the largest cannot be one"
            )
        class_sizes(self.points, self.classes, self.largest, self.singletons)
        _check_size(self.points, self.dim, "points or dim")
        return self

    @property
    def official_split(self) -> bool | None:
        """See `DataOptions`."""
        return self.of_part.options.official_split if self.of else False

    @cached_property
    def of_part(self) -> Part[DataOptions]:
        """The other data set, where there is one, with its typed options."""
        return DATASETS.part(self.of, self.of_options)


class OfAnotherOptions(DataOptions):
    """Base of sets that are another set with something changed."""

    of: str = Field("digits", description="data set that is changed")
    of_options: dict[str, Any] = Field(default_factory=dict, description="options of that data set")

    @model_validator(mode="after")
    def _check(self) -> Self:
        _ = self.of_part  # raises what is wrong with it
        return self

    @property
    def official_split(self) -> bool | None:
        """See `DataOptions`."""
        return self.of_part.options.official_split

    @cached_property
    def of_part(self) -> Part[DataOptions]:
        """The other data set with its typed options."""
        return DATASETS.part(self.of, self.of_options)


@DATASETS.register("label-noise", target="hnm_core.data.wrapped:label_noise")
class LabelNoiseOptions(OfAnotherOptions):
    """Another set with a share of its labels wrong; the truth is kept, so that false negatives can be counted."""

    of: str = Field("digits", description="data set whose labels are made noisy")
    noise: float = Field(0.2, ge=0, le=1, description="share of the items that get a wrong label")


@DATASETS.register("reviewed", target="hnm_core.data.review:build")
class ReviewedOptions(OfAnotherOptions):
    """Another set with what `hnm-lab review` wrote down: items left out, and in another class."""

    of: str = Field("digits", description="data set that was reviewed")
    review: str = Field(min_length=1, description="file of the decisions, .jsonl")


PIXELS: dict[str, JsonValue] = {"unit": "px"}
PATH_HELP = "folder with its files; empty looks in the usual places, then downloads"


@DATASETS.register("fashion-mnist", target="hnm_core.data.idx_sets:fashion_mnist")
class FashionMnistOptions(PartedOptions):
    """Pictures of clothes, 28 x 28 pixels, 10 classes: a folder of yours, Debian's package, or a download."""

    path: str = Field("", description=PATH_HELP)
    points: int = Field(
        10_000, ge=20, le=70_000, description="items to take, the same number of each class; 70,000 is all of them"
    )
    download: bool = Field(True, description="fetch the files (30 MB) where there is no copy")


@DATASETS.register("mnist", target="hnm_core.data.idx_sets:mnist")
class MnistOptions(PartedOptions):
    """Handwritten digits, 28 x 28 pixels, 10 classes: a folder of yours, or a download."""

    path: str = Field("", description=PATH_HELP)
    points: int = Field(
        10_000, ge=20, le=70_000, description="items to take, classes in proportion; 70,000 is all of them"
    )
    download: bool = Field(True, description="fetch the files (12 MB) where there is no copy")


@DATASETS.register("kmnist", target="hnm_core.data.idx_sets:kmnist")
class KmnistOptions(PartedOptions):
    """Cursive Japanese characters, 28 x 28 pixels, 10 classes: a folder of yours, or a download."""

    path: str = Field("", description=PATH_HELP)
    points: int = Field(
        10_000, ge=20, le=70_000, description="items to take, the same number of each class; 70,000 is all of them"
    )
    download: bool = Field(True, description="fetch the files (21 MB) where there is no copy")


@DATASETS.register("emnist", target="hnm_core.data.idx_sets:emnist")
class EmnistOptions(PartedOptions):
    """Handwritten letters and digits, 28 x 28 pixels, 47 or 26 classes: a folder of yours, or a large download."""

    split: Literal["balanced", "letters"] = Field(
        "balanced", description="balanced: digits, capitals and 11 small letters, 47 classes; letters: 26 classes"
    )
    path: str = Field("", description=PATH_HELP)
    points: int = Field(
        10_000, ge=94, le=145_600, description="items to take, classes in proportion; 145,600 is all of either split"
    )
    download: bool = Field(True, description="fetch the files (560 MB, of which 100 MB stay) where there is no copy")


@DATASETS.register("cifar10", target="hnm_core.data.cifar:cifar10")
class Cifar10Options(PartedOptions):
    """Photographs of animals and vehicles, 32 x 32 pixels in colour, 10 classes: a folder of yours, or a download."""

    path: str = Field("", description=PATH_HELP)
    points: int = Field(
        10_000, ge=20, le=60_000, description="items to take, the same number of each class; 60,000 is all of them"
    )
    download: bool = Field(True, description="fetch the files (170 MB) where there is no copy")


@DATASETS.register("images", target="hnm_core.data.image_folder:build")
class ImagesOptions(DataOptions):
    """A folder of pictures of yours, with one folder in it for each class; needs Pillow."""

    path: str = Field(min_length=1, description="folder with one folder of pictures for each class")
    size: int = Field(
        32, ge=1, le=1_024, description="pixels of a side: pictures are shrunk and cut square", json_schema_extra=PIXELS
    )
    colour: Literal["rgb", "grey"] = Field("rgb", description="three numbers a pixel, or one")
    points: int = Field(
        10_000,
        ge=2,
        le=10_000_000,
        description="items to take at most, classes in proportion, small ones whole; the others stay unread",
    )


@DATASETS.register("file", target="hnm_core.data.files:build")
class FileOptions(DataOptions):
    """Your own data: arrays or tensors `x` and `y`, a table with a column `label`, or vectors with a file of labels."""

    path: str = Field(min_length=1, description="file of your data")
    labels: str = Field(
        "",
        description="file of the labels of vectors in .npy or .tsv; empty looks beside it for labels or metadata",
    )
    label_separator: str = Field(
        "",
        max_length=10,
        description="what stands between several labels of an item in one text, such as |; empty: a text is one label",
    )
    label_columns: str = Field(
        "",
        description="columns of a table that are a label each, 1 where an item has it: cat,night or a pattern such as "
        "tag_*; empty: a column label",
    )
    standardize: bool = Field(False, description="give every feature mean 0 and deviation 1")


@DATASETS.register("code-search", target="hnm_core.data.retrieval.code_search:build")
class CodeSearchOptions(UnpartedOptions):
    """Queries: first sentences of docstrings; documents: their functions, out of the Python on this machine."""

    judged: ClassVar[bool] = True

    packages: Literal["standard", "installed"] = Field(
        "standard",
        description="standard: the functions of Python's own library; installed: those of all packages beside it too",
    )

    @property
    def found_in(self) -> str:
        """The Python that runs; where its packages are searched too, these as well, as a digest."""
        python = f"{platform.python_implementation()} {platform.python_version()}"
        if self.packages == "standard":
            return python
        found = sorted(f"{one.metadata['Name']} {one.version}" for one in importlib.metadata.distributions())
        return f"{python} with {hashlib.sha256(json.dumps(found).encode()).hexdigest()}"


def _check_two_of_each(points: int, classes: int) -> None:
    if points < 2 * classes:
        raise ValueError(
            f"points = {points} is too few for classes = {classes}; at least {2 * classes} give two of each"
        )


def _check_size(points: int, dim: int, fields: str) -> None:
    if points * dim > MAX_NUMBERS:
        raise ValueError(
            f"{points:,} items of {dim:,} features are more than {MAX_NUMBERS:,} numbers; make {fields} smaller"
        )
