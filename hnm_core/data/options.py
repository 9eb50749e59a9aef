"""Names and options of the data sets; loads no data and no torch."""

from __future__ import annotations

from pydantic import Field

from hnm_core.registry import DATASETS, Options


@DATASETS.register("digits", target="hnm_core.data.digits:build")
class DigitsOptions(Options):
    """1,797 handwritten digits, 8 x 8 pixels, 10 classes; ships with scikit-learn."""


@DATASETS.register("near-classes", target="hnm_core.data.synthetic:near_classes")
class NearClassesOptions(Options):
    """Groups of classes that lie close together: random negatives are nearly all from another group and teach little."""

    groups: int = Field(20, ge=1, le=10_000, description="groups, far apart")
    classes_per_group: int = Field(5, ge=1, le=1_000, description="classes in each group, near each other")
    points_per_class: int = Field(30, ge=2, le=100_000, description="items in each class")
    dim: int = Field(32, ge=1, le=4_096, description="number of features")
    group_spread: float = Field(3.0, ge=0, le=1_000, description="spread of the group centres")
    class_spread: float = Field(0.9, ge=0, le=1_000, description="spread of the class centres in a group")
    point_spread: float = Field(0.6, ge=0, le=1_000, description="spread of the items in a class")


@DATASETS.register("blobs", target="hnm_core.data.synthetic:blobs")
class BlobsOptions(Options):
    """Gaussian blobs, one for each class."""

    classes: int = Field(10, ge=2, le=100_000, description="number of classes")
    points: int = Field(2_000, ge=4, le=10_000_000, description="items in all")
    dim: int = Field(16, ge=1, le=4_096, description="number of features")
    spread: float = Field(1.0, gt=0, le=1_000, description="spread of the items in a blob")
    separation: float = Field(3.0, ge=0, le=1_000, description="spread of the blob centres")


@DATASETS.register("noise", target="hnm_core.data.synthetic:noise")
class NoiseOptions(Options):
    """The 2019 demo's set: random labels on uniform noise in (-1, 1); nothing to learn but by heart."""

    classes: int = Field(2, ge=2, le=1_000, description="number of classes")
    points: int = Field(100, ge=4, le=10_000_000, description="items in all")
    dim: int = Field(10, ge=1, le=4_096, description="number of features")


@DATASETS.register("fashion-mnist", target="hnm_core.data.downloads:fashion_mnist")
class FashionMnistOptions(Options):
    """Pictures of clothes, 28 x 28 pixels, 10 classes: a folder of yours, Debian's package, or a download."""

    path: str = Field("", description="folder with the four idx files; empty looks in the usual places, then downloads")
    points: int = Field(
        10_000, ge=20, le=70_000, description="items to take, the same number of each class; 70,000 is all of them"
    )
    download: bool = Field(True, description="fetch the files (30 MB) where there is no copy")


@DATASETS.register("file", target="hnm_core.data.files:build")
class FileOptions(Options):
    """Your own data: .npz with `x` and `y`, or .csv with a column `label`."""

    path: str = Field(min_length=1, description="the file")
    standardize: bool = Field(False, description="give every feature mean 0 and deviation 1")
