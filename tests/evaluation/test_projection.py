"""The projection that clouds of more than three dimensions are drawn with."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

from hnm_core.evaluation import projection
from hnm_core.evaluation.projection import AlignedPca, tsne_snapshot


def cloud(seed: int = 0) -> torch.Tensor:
    return torch.randn(300, 8, generator=torch.Generator().manual_seed(seed)) * torch.arange(8, 0, -1)


NARROW = torch.eye(8)
WIDE = torch.linalg.qr(torch.randn(400, 8, generator=torch.Generator().manual_seed(1)))[0].T
"""Into more dimensions than there are points, where nothing changes its distances."""


@pytest.mark.parametrize("into", [NARROW, WIDE], ids=["narrow", "wide"])
def test_that_it_spans_the_same_space_as_scikit_learns(into: torch.Tensor) -> None:
    x = cloud() @ into
    positions, words = AlignedPca()(x)
    reference = PCA(3).fit(x.numpy())
    assert np.allclose(np.abs(positions.numpy()), np.abs(reference.transform(x.numpy())), atol=1e-3)
    assert words == f"PCA of {len(into.T)}-D, {reference.explained_variance_ratio_.sum():.0%}"


@pytest.mark.parametrize("into", [NARROW, WIDE], ids=["narrow", "wide"])
def test_that_a_slowly_turning_cloud_neither_flips_nor_spins(into: torch.Tensor) -> None:
    project, x = AlignedPca(), cloud()
    before, _ = project(x @ into)
    for step in range(1, 40):
        angle = torch.tensor(0.01 * step)
        turned = x.clone()
        turned[:, 0] = angle.cos() * x[:, 0] - angle.sin() * x[:, 4]
        turned[:, 4] = angle.sin() * x[:, 0] + angle.cos() * x[:, 4]
        turned[:, 1] *= 1 + 0.02 * step  # the first two axes change places on the way
        after, _ = project(turned @ into)
        assert float((after - before).norm() / before.norm()) < 0.2
        before = after


@pytest.mark.parametrize("shape", [(600, 300), (300, 600)], ids=str)
@pytest.mark.parametrize(("decay", "least"), [(1.0, 0.99999), (0.0, 0.98)])
def test_that_of_very_many_dimensions_and_points_nearly_all_variance_is_found(
    shape: tuple[int, int], decay: float, least: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where no three directions stand out."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(2)) * torch.arange(1, shape[1] + 1) ** -decay
    reference = PCA(3, svd_solver="full").fit(x.numpy()).explained_variance_.sum()
    monkeypatch.setattr(projection, "MAX_EXACT", 299)
    positions, _ = AlignedPca()(x)
    assert least * reference < float(positions.double().var(0).sum()) < 1.000001 * reference
    assert torch.equal(positions, AlignedPca()(x)[0])


def test_that_three_and_fewer_dimensions_are_shown_as_they_are() -> None:
    x = cloud()[:, :2]
    positions, words = AlignedPca()(x)
    assert torch.equal(positions[:, :2], x)
    assert torch.equal(positions[:, 2], torch.zeros(300))
    assert words == "2-D output"
    assert AlignedPca()(cloud()[:, :3])[1] == ""


def test_that_a_collapsed_cloud_is_drawn_and_finite() -> None:
    for points, width in ((50, 16), (10, 16), (2, 16), (1, 16)):
        positions, _ = AlignedPca()(torch.ones(points, width))
        assert positions.shape == (points, 3) and torch.isfinite(positions).all()
    two, _ = AlignedPca()(torch.eye(16)[:2])
    assert float((two[0] - two[1]).norm()) == pytest.approx(2**0.5, abs=1e-6)


def test_that_a_quick_t_sne_keeps_neighbours_as_well_as_a_thorough_one() -> None:
    centres = torch.randn(6, 10, generator=torch.Generator().manual_seed(3)) * 3
    x = centres[torch.arange(240) % 6] + torch.randn(240, 10, generator=torch.Generator().manual_seed(4))
    quick, thorough = (tsne_snapshot(x, dim=3, quick=quick) for quick in (True, False))
    kept = [trustworthiness(x.numpy(), picture.numpy(), n_neighbors=10) for picture in (quick, thorough)]
    assert not torch.equal(quick, thorough)
    assert min(kept) > 0.9 and kept[0] > kept[1] - 0.01
