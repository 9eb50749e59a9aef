"""Names and options of the data sets; loads no data and no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hnm_core.registry import DATASETS, Options

MAX_NUMBERS = 1_000_000_000
"""Most numbers (items times features) that a synthetic set may hold: 4 GB."""


@DATASETS.register("digits", target="hnm_core.data.digits:build")
class DigitsOptions(Options):
    """1,797 handwritten digits, 8 x 8 pixels, 10 classes; ships with scikit-learn."""


@DATASETS.register("near-classes", target="hnm_core.data.synthetic:near_classes")
class NearClassesOptions(Options):
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
class BlobsOptions(Options):
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
class NoiseOptions(Options):
    """The 2019 demo's set: random labels on uniform noise in (-1, 1); nothing to learn but by heart."""

    classes: int = Field(2, ge=2, le=1_000, description="number of classes")
    points: int = Field(100, ge=4, le=10_000_000, description="items in all")
    dim: int = Field(10, ge=1, le=4_096, description="number of features")

    @model_validator(mode="after")
    def _check(self) -> NoiseOptions:
        _check_two_of_each(self.points, self.classes)
        _check_size(self.points, self.dim, "points or dim")
        return self


PATH_HELP = "folder with its files; empty looks in the usual places, then downloads"


@DATASETS.register("fashion-mnist", target="hnm_core.data.idx_sets:fashion_mnist")
class FashionMnistOptions(Options):
    """Pictures of clothes, 28 x 28 pixels, 10 classes: a folder of yours, Debian's package, or a download."""

    path: str = Field("", description=PATH_HELP)
    points: int = Field(
        10_000, ge=20, le=70_000, description="items to take, the same number of each class; 70,000 is all of them"
    )
    download: bool = Field(True, description="fetch the files (30 MB) where there is no copy")


@DATASETS.register("mnist", target="hnm_core.data.idx_sets:mnist")
class MnistOptions(Options):
    """Handwritten digits, 28 x 28 pixels, 10 classes: a folder of yours, or a download."""

    path: str = Field("", description=PATH_HELP)
    points: int = Field(
        10_000, ge=20, le=70_000, description="items to take, classes in proportion; 70,000 is all of them"
    )
    download: bool = Field(True, description="fetch the files (12 MB) where there is no copy")


@DATASETS.register("kmnist", target="hnm_core.data.idx_sets:kmnist")
class KmnistOptions(Options):
    """Cursive Japanese characters, 28 x 28 pixels, 10 classes: a folder of yours, or a download."""

    path: str = Field("", description=PATH_HELP)
    points: int = Field(
        10_000, ge=20, le=70_000, description="items to take, the same number of each class; 70,000 is all of them"
    )
    download: bool = Field(True, description="fetch the files (21 MB) where there is no copy")


@DATASETS.register("emnist", target="hnm_core.data.idx_sets:emnist")
class EmnistOptions(Options):
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
class Cifar10Options(Options):
    """Photographs of animals and vehicles, 32 x 32 pixels in colour, 10 classes: a folder of yours, or a download."""

    path: str = Field("", description=PATH_HELP)
    points: int = Field(
        10_000, ge=20, le=60_000, description="items to take, the same number of each class; 60,000 is all of them"
    )
    download: bool = Field(True, description="fetch the files (170 MB) where there is no copy")


@DATASETS.register("file", target="hnm_core.data.files:build")
class FileOptions(Options):
    """Your own data: .npz with `x` and `y`, or .csv or .parquet with a column `label`."""

    path: str = Field(min_length=1, description="the file")
    standardize: bool = Field(False, description="give every feature mean 0 and deviation 1")


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
