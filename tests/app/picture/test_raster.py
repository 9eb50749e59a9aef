from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from app.picture import raster, raster_kernels
from app.picture.camera import Camera, fit
from app.picture.raster import Workspace, render
from app.picture.scene import Scene
from app.picture.theme import DARK, LIGHT, Theme

WIDTH, HEIGHT = 80, 60
FRONT = Camera(azimuth=0.0, elevation=0.0, distance=10.0, radius=1.0)
"""Looks along -x: +y is to the right, +z is up, larger x is nearer."""
PX = 10.0 / FRONT.focal_px(HEIGHT)
"""World length of a pixel at the target."""
FLAT = replace(DARK, cloud_top=(0, 0, 0), cloud_bottom=(0, 0, 0), grid=(0, 0, 0))
"""Black ground without a visible floor."""

pytestmark = pytest.mark.usefixtures("raster_kernels")


def scene(
    positions,
    colors=None,
    edges=(),
    alpha: int = 255,
    edge_rgb=(255, 0, 0),
    shape=(1.0, 0.0),
    ringed=(),
    ring_rgb=(0, 0, 255),
) -> Scene:
    positions = np.array(positions, np.float32).reshape(-1, 3)
    count = len(positions)
    colors = np.full((count, 3), 200, np.uint8) if colors is None else np.array(colors, np.uint8)
    pairs = np.array(edges, np.int32).reshape(-1, 2)
    edge_colors = np.tile(np.array((*edge_rgb, alpha), np.uint8), (len(pairs), 1))
    ids, strata = np.arange(count), np.zeros(count, np.int64)
    shapes = np.tile(np.array(shape, np.float32), (len(pairs), 1))
    rings = np.tile(np.array((*ring_rgb, 255), np.uint8), (len(ringed), 1))
    return Scene(
        positions,
        colors,
        np.ones(count, np.float32),
        pairs,
        edge_colors,
        shapes,
        np.zeros(len(pairs), np.int8),
        np.array(ringed, np.int32),
        rings,
        ids,
        strata,
        np.zeros(count, np.bool_),
    )


def picture(drawn: Scene, camera: Camera = FRONT, theme: Theme = DARK, **options) -> raster.Picture:
    shown = render(drawn, camera, WIDTH, HEIGHT, theme, **options)
    return raster.Picture(shown.pixels.copy(), shown.rows.copy(), shown.points_in_view)


def disc(cx: float, cy: float, radius: float) -> np.ndarray:
    """(H, W) whether the centre of a pixel lies within `radius` of a place."""
    ys, xs = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    return (xs - cx) ** 2 + (ys - cy) ** 2 <= radius**2


def red_edge_pixels(with_edge: raster.Picture, without: raster.Picture) -> np.ndarray:
    """(H, W) where the edge changed the picture; it is red, so red must have grown there."""
    changed = (with_edge.pixels != without.pixels).any(2)
    assert (with_edge.pixels[changed][:, 2].astype(int) >= without.pixels[changed][:, 2]).all()
    return changed


@pytest.mark.parametrize("radius", [1.0, 3.5, 8.25, 17.0])
def test_that_a_sphere_in_the_middle_covers_exactly_its_disc(radius: float):
    rows = picture(scene([(0, 0, 0)]), point_px=radius).rows
    assert np.array_equal(rows == 0, disc(WIDTH / 2, HEIGHT / 2, radius))
    assert (rows[rows != 0] == -1).all()


@pytest.mark.parametrize("radius", [1.0, 3.5, 8.25, 17.0])
def test_that_a_diamond_covers_exactly_the_square_on_its_tip_that_is_as_large_as_a_sphere(radius: float):
    rows = picture(replace(scene([(0, 0, 0)]), diamond_class=0), point_px=radius).rows
    ys, xs = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    inside = abs(xs - WIDTH / 2) + abs(ys - HEIGHT / 2) <= max(raster_kernels.DIAMOND * radius, 1.0)
    assert np.array_equal(rows == 0, inside)
    assert inside.sum() == pytest.approx((picture(scene([(0, 0, 0)]), point_px=radius).rows == 0).sum(), rel=0.35)


def test_that_a_diamond_has_four_faces_the_brightest_at_the_upper_left():
    drawn = picture(replace(scene([(0, 0, 0)]), diamond_class=0), FRONT, FLAT, point_px=12.0).pixels[..., 1].astype(int)
    faces = [drawn[30 + down, 40 + right] for down, right in ((-4, -4), (-4, 3), (3, -4), (3, 3))]
    assert faces[0] > faces[1] > faces[2] > faces[3] > 0
    for down, right in ((-2, -2), (-3, -5), (-6, -3)):
        assert abs(drawn[30 + down, 40 + right] - faces[0]) <= 1


def test_that_only_points_of_the_class_of_diamonds_are_diamonds_and_the_others_as_ever():
    two = replace(scene([(0, -12 * PX, 0), (0, 12 * PX, 0)]), strata=np.array([0, 1]))
    plain, mixed = picture(two, point_px=8.0), picture(replace(two, diamond_class=1), point_px=8.0)
    assert np.array_equal(plain.pixels[:, :40], mixed.pixels[:, :40])
    assert (plain.rows[:, 40:] != mixed.rows[:, 40:]).any()
    ringed = replace(two, diamond_class=1, halos=np.array([1], np.int32), halo_colors=np.full((1, 4), 255, np.uint8))
    changed = (picture(ringed, point_px=8.0).pixels != mixed.pixels).any(2)
    assert changed.any() and not changed[:, :40].any()


def test_that_spheres_lie_where_the_camera_projects_them_with_a_radius_by_perspective():
    camera = Camera(azimuth=40.0, elevation=25.0, distance=10.0)
    positions = np.random.default_rng(0).uniform(-2, 2, (6, 3)).astype(np.float32)
    x, y, depth = camera.project(positions, WIDTH, HEIGHT)
    for row in range(6):
        alone = picture(scene(positions[row]), camera, point_px=5.0).rows == 0
        expected = disc(x[row], y[row], 5.0 * 10.0 / depth[row])
        assert (alone != expected).sum() <= 2  # centres of pixels that lie on the circle to within rounding


def test_that_the_nearer_of_two_spheres_wins_whatever_their_order():
    for order in ([0, 1], [1, 0]):
        positions = np.array([(0, 0, 0), (2, 2 * PX, 0)])[order]  # x = 2 is nearer
        rows = picture(scene(positions), point_px=6.0).rows
        near = order.index(1)
        assert np.array_equal(rows == near, disc(40 + 2 * 10 / 8, 30, 6.0 * 10 / 8))
        assert (rows == 1 - near).sum() > 0


def test_that_spheres_that_cross_are_cut_where_they_meet():
    rows = picture(scene([(0, -3 * PX, 0), (0, 3 * PX, 0)]), point_px=8.0).rows
    columns = np.arange(WIDTH)[None].repeat(HEIGHT, 0)
    assert (columns[rows == 0] < 40).all() and (columns[rows == 1] >= 40).all()
    assert (rows == 0).sum() == (rows == 1).sum()


def test_that_points_behind_the_eye_not_finite_or_of_no_size_leave_no_trace():
    good = scene([(0, 0, 0)])
    positions = [(0, 0, 0), (11, 0, 0), (np.nan, 0, 0), (0, np.inf, 0), (-np.inf, 0, 0), (3e38, 3e38, -3e38), (1, 1, 1)]
    bad = scene(positions, edges=[(0, 2), (3, 4), (1, 1), (2, 3), (0, 4)])
    bad.radii[6] = 0
    expected, shown = picture(good, point_px=5.0), picture(bad, point_px=5.0)
    assert np.array_equal(expected.pixels, shown.pixels) and np.array_equal(expected.rows, shown.rows)
    assert shown.points_in_view == 1


def test_that_an_empty_scene_is_a_gradient_from_top_to_bottom():
    shown = picture(scene([]), replace(FRONT, elevation=-80.0, center=(0.0, 0.0, 1e6)), LIGHT)
    assert (shown.rows == -1).all() and shown.points_in_view == 0
    rgb = shown.pixels[:, :, 2::-1].astype(float).mean(1)
    share = (np.arange(HEIGHT)[:, None] + 0.5) / HEIGHT
    expected = np.array(LIGHT.cloud_top) * (1 - share) + np.array(LIGHT.cloud_bottom) * share
    np.testing.assert_allclose(rgb, expected, atol=0.5)


def test_that_bytes_are_blue_green_red_255():
    shown = picture(scene([(0, 0, 0)], [(250, 120, 10)]), point_px=10.0)
    blue, green, red, filler = (int(value) for value in shown.pixels[30, 40])
    assert red > green > blue and filler == 255
    assert (shown.pixels[:, :, 3] == 255).all() and shown.pixels.flags.c_contiguous


def test_that_a_sphere_is_lit_from_the_upper_left():
    shown = picture(scene([(0, 0, 0)]), point_px=14.0).pixels.astype(int).sum(2)
    assert shown[30 - 7, 40 - 5] > shown[30, 40] > shown[30 + 7, 40 + 5]


def test_that_a_point_without_room_for_shading_covers_a_share_of_pixels_equal_to_its_area():
    drawn = scene([(0, 0, 0)], [(255, 255, 255)])
    areas = []
    for right in np.arange(0, 1, 0.125):
        for up in np.arange(0, 1, 0.125):
            camera = replace(FRONT, target=(0.0, right * PX, up * PX))
            light = picture(drawn, camera, point_px=1.0, theme=FLAT).pixels[:, :, 2].astype(float)
            areas.append(light.sum() / (255 * raster_kernels.FLAT))
    assert np.mean(areas) == pytest.approx(np.pi, rel=0.05)


def test_that_rims_are_smooth():
    shown = picture(scene([(0, 0, 0)], [(255, 255, 255)]), point_px=12.3, theme=FLAT)
    line = shown.pixels[:, :, 2].astype(int)
    rim = disc(40, 30, 12.8) & ~disc(40, 30, 11.8)
    outside, inside = ~disc(40, 30, 12.9), disc(40, 30, 11.7)
    assert (line[outside] == 0).all() and line[inside].min() > 80
    between = (line[rim] > 15) & (line[rim] < line[inside].min())
    assert between.mean() > 0.5


def test_that_an_edge_joins_its_two_points():
    ends = [(0, -20 * PX, -10 * PX), (0, 20 * PX, 10 * PX)]
    bare = scene(ends)
    changed = red_edge_pixels(picture(scene(ends, edges=[(0, 1)]), point_px=2.0), picture(bare, point_px=2.0))
    ys, xs = np.nonzero(changed)
    off_the_line = np.abs((ys + 0.5 - 30) + (xs + 0.5 - 40) / 2) / np.hypot(1, 0.5)
    assert off_the_line.max() < 1.6
    assert xs.min() <= 24 and xs.max() >= 55
    assert set(range(xs.min(), xs.max() + 1)) == set(xs.tolist())  # without a gap


def test_that_an_edge_behind_a_sphere_is_hidden_and_one_before_it_is_not():
    for depth, hidden in ((-3.0, True), (3.0, False)):
        spread = 30 * PX * (10 - depth) / 10
        points = [(0, 0, 0), (depth, -spread, 0), (depth, spread, 0)]
        small = scene(points, edges=[(1, 2)])
        bare = scene(points)
        for drawn in (small, bare):
            drawn.radii[1:] = 0.1
        with_edge, without = picture(small, point_px=8.0), picture(bare, point_px=8.0)
        changed = red_edge_pixels(with_edge, without)
        on_the_sphere = changed & (without.rows == 0)
        assert on_the_sphere.any() != hidden
        assert changed[:, :30].any() and changed[:, 50:].any()
        assert np.array_equal(with_edge.rows, without.rows)


def behind_a_sphere(**options) -> tuple[raster.Picture, raster.Picture]:
    """A picture with an edge that passes behind a sphere, and one without it."""
    spread = 30 * PX * 13 / 10
    points = [(0, 0, 0), (-3.0, -spread, 0), (-3.0, spread, 0)]
    with_edge, bare = scene(points, edges=[(1, 2)], **options), scene(points)
    for drawn in (with_edge, bare):
        drawn.radii[1:] = 0.1
    return picture(with_edge, theme=FLAT, point_px=8.0), picture(bare, theme=FLAT, point_px=8.0)


def test_that_a_hard_edge_is_seen_through_what_covers_it_by_its_share():
    redder = {}
    for through in (0.0, 0.5, 1.0):
        with_edge, bare = behind_a_sphere(shape=(3.0, through), edge_rgb=(255, 0, 0))
        covered = bare.rows == 0
        blue = bare.pixels[covered][:, 0].astype(int) - with_edge.pixels[covered][:, 0]
        redder[through] = blue.sum()
        assert (with_edge.pixels != bare.pixels)[~covered].any(), "beside the sphere it is seen anyway"
    assert redder[0.0] == 0 < redder[0.5]
    assert redder[0.5] == pytest.approx(redder[1.0] / 2, rel=0.05)


def test_that_an_edge_is_as_wide_as_its_shape_says():
    ends = [(0, -30 * PX, 0), (0, 30 * PX, 0)]
    ink = {}
    for wide in (1.0, 2.0, 4.0):
        drawn = picture(scene(ends, edges=[(0, 1)], shape=(wide, 0.0)), theme=FLAT, point_px=1.0)
        ink[wide] = drawn.pixels[:, 35:45, 2].astype(int).sum()
    assert ink[2.0] == pytest.approx(2 * ink[1.0], rel=0.05) and ink[4.0] == pytest.approx(4 * ink[1.0], rel=0.05)


def test_that_a_ring_lies_just_outside_of_its_sphere_all_round_and_round_no_other():
    points = [(0, -15 * PX, 0), (0, 15 * PX, 0)]
    ringed = picture(scene(points, ringed=[1]), theme=FLAT, point_px=6.0)
    bare = picture(scene(points), theme=FLAT, point_px=6.0)
    changed = (ringed.pixels != bare.pixels).any(2)
    ys, xs = np.nonzero(changed)
    away = np.hypot(xs + 0.5 - 55, ys + 0.5 - 30)
    assert away.min() > 5.0 and away.max() < 10.0 and len(away) > 30
    assert len(set(np.round(np.degrees(np.arctan2(ys + 0.5 - 30, xs + 0.5 - 55)) / 30).tolist())) >= 12
    strongest = ringed.pixels[changed][:, 0].max()
    assert strongest > 200, "in its own colour"


def test_that_what_lies_before_a_sphere_covers_its_ring():
    points = [(0, 0, 0), (4.0, 6 * PX * 0.6, 0)]
    behind = picture(scene(points, ringed=[0]), theme=FLAT, point_px=6.0)
    bare = picture(scene(points), theme=FLAT, point_px=6.0)
    changed = (behind.pixels != bare.pixels).any(2)
    assert changed.any() and not changed[bare.rows == 1].any()
    seen = picture(scene(points, ringed=[1]), theme=FLAT, point_px=6.0)
    assert (seen.pixels != bare.pixels).any(2)[bare.rows == 0].any(), "the nearer one's is before the other"


@pytest.mark.parametrize("far", [1e6, 1e15, 1e25])
def test_that_an_edge_to_a_point_far_outside_is_drawn_up_to_the_border(far: float):
    points = [(0, 0, 0), (0, far, 0), (0, far, far), (far / 2, -far, 0)]
    shown = picture(scene(points, edges=[(0, 1), (1, 2), (2, 3), (0, 3)]))
    changed = red_edge_pixels(shown, picture(scene(points)))
    assert changed[29:31, 60:].any(0).all() and not changed[:25].any()


def test_that_an_edge_with_one_end_behind_the_eye_is_cut_and_drawn():
    points = [(0, -20 * PX, 0), (30, -20 * PX, 0)]
    changed = red_edge_pixels(picture(scene(points, edges=[(0, 1)])), picture(scene(points)))
    ys, xs = np.nonzero(changed)
    assert xs.min() == 0 and np.abs(ys + 0.5 - 30).max() < 1.5


def test_that_alpha_zero_draws_nothing_and_half_lies_between():
    points = [(0, -20 * PX, 0), (0, 20 * PX, 0)]
    values = [
        int(picture(scene(points, edges=[(0, 1)], alpha=alpha), point_px=1.0, theme=FLAT).pixels[29:31, 40, 2].max())
        for alpha in (0, 128, 255)
    ]
    assert values[0] == 0 and values[1] == pytest.approx(values[2] / 2, abs=2) and values[2] > 100


def test_that_far_points_fade_into_the_ground():
    shown = picture(scene([(5, -15 * PX, 0), (-5, 15 * PX, 0)], [(255, 255, 255)] * 2), point_px=6.0, theme=FLAT)
    near, far = (shown.pixels[shown.rows == row][:, :3].astype(float).mean() for row in (0, 1))
    assert far < 0.75 * near


def test_that_a_sphere_darkens_what_lies_far_behind_its_rim():
    wall = [(-4, y * PX, z * PX) for y in range(-20, 21, 2) for z in range(-14, 15, 2)]
    aside = picture(scene([*wall, (1, 30 * PX, 20 * PX)]), point_px=6.0)
    middle = picture(scene([*wall, (1, 0, 0)]), point_px=6.0)
    ring = disc(40, 30, 8.6) & ~disc(40, 30, 7.4) & (middle.rows == aside.rows)
    outside = ~disc(40, 30, 10.5) & (middle.rows == aside.rows) & (middle.rows >= 0)
    darkened = middle.pixels.astype(float).sum(2) / aside.pixels.sum(2)
    assert darkened[ring].mean() < 0.93 < darkened[outside].mean()


def test_that_the_same_scene_gives_the_same_bytes_whatever_was_drawn_before():
    generator = np.random.default_rng(5)
    first = scene(
        generator.normal(size=(300, 3)), generator.integers(0, 255, (300, 3)), generator.integers(0, 300, (80, 2))
    )
    other = scene(generator.normal(size=(500, 3)), edges=generator.integers(0, 500, (40, 2)))
    workspace = Workspace()
    for supersample in (1, 2):
        fresh = picture(first, supersample=supersample)
        picture(other, workspace=workspace, supersample=2)
        render(other, FRONT, 33, 21, LIGHT, workspace=workspace)
        again = picture(first, workspace=workspace, supersample=supersample)
        assert fresh.pixels.tobytes() == again.pixels.tobytes() and np.array_equal(fresh.rows, again.rows)


def test_that_read_only_positions_are_drawn_and_left_alone():
    drawn = scene([(0, 0, 0), (1, 1, 0)], edges=[(0, 1)])
    before = drawn.positions.copy()
    for array in (drawn.positions, drawn.colors, drawn.radii, drawn.edges, drawn.edge_colors):
        array.flags.writeable = False
    assert picture(drawn).points_in_view == 2 and np.array_equal(drawn.positions, before)


def test_that_supersampling_refines_the_picture_and_keeps_its_size():
    generator = np.random.default_rng(6)
    drawn = scene(generator.normal(size=(200, 3)), generator.integers(0, 255, (200, 3)))
    plain, fine = picture(drawn, point_px=5.0), picture(drawn, point_px=5.0, supersample=3)
    assert plain.pixels.shape == fine.pixels.shape == (HEIGHT, WIDTH, 4)
    difference = np.abs(plain.pixels.astype(int) - fine.pixels.astype(int))
    assert difference.mean() < 4 and (plain.rows == fine.rows).mean() > 0.95


def test_that_a_picture_twice_as_large_shows_the_same_twice_as_large():
    drawn = scene(np.random.default_rng(7).normal(size=(100, 3)))
    small, large = render(drawn, FRONT, 80, 60, DARK), render(drawn, FRONT, 160, 120, DARK)
    assert ((large.rows[::2, ::2] == small.rows) | (large.rows[1::2, 1::2] == small.rows)).mean() > 0.97


@pytest.mark.parametrize(("width", "height", "supersample"), [(0, 5, 1), (5, -1, 1), (5, 5, 0)])
def test_that_impossible_sizes_are_refused(width: int, height: int, supersample: int):
    with pytest.raises(ValueError, match="cannot render"):
        render(scene([(0, 0, 0)]), FRONT, width, height, DARK, supersample=supersample)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 300), (301, 1), (7, 3)])
def test_that_tiny_and_narrow_pictures_work(width: int, height: int):
    generator = np.random.default_rng(8)
    drawn = scene(generator.normal(size=(50, 3)), edges=generator.integers(0, 50, (30, 2)))
    shown = render(drawn, FRONT, width, height, DARK)
    assert shown.pixels.shape == (height, width, 4) and shown.rows.shape == (height, width)


def test_that_a_collapsed_cloud_is_one_point():
    drawn = scene(np.full((100, 3), 3.0))
    rows = picture(drawn, fit(drawn.positions, WIDTH / HEIGHT), point_px=5.0).rows
    assert np.array_equal(rows >= 0, disc(40, 30, 5.0))


def test_that_a_real_scene_needs_no_kernel_that_warm_up_did_not_compile():
    raster.warm_up()
    kernels = {name: value for name, value in vars(raster).items() if hasattr(value, "signatures")}
    before = {name: len(kernel.signatures) for name, kernel in kernels.items()}
    drawn = scene(np.random.default_rng(9).normal(size=(90, 3)), edges=[(0, 1), (4, 5)])
    drawn.positions.flags.writeable = False
    workspace = Workspace()
    for supersample, point_px, theme in ((1, None, DARK), (2, 4.0, LIGHT), (1, 3, DARK)):
        render(drawn, FRONT, 50, 40, theme, point_px=point_px, supersample=supersample, workspace=workspace)
    render(scene([]), FRONT, 50, 40, DARK)
    assert len(kernels) >= 10
    assert {name: len(kernel.signatures) for name, kernel in kernels.items()} == before


def test_that_the_reference_pane_is_drawn_within_the_frame_budget():
    generator = np.random.default_rng(10)
    drawn = scene(generator.normal(size=(5000, 3)), edges=generator.integers(0, 5000, (1000, 2)))
    camera, workspace = fit(drawn.positions, 950 / 480), Workspace()
    times = []
    for _ in range(12):
        start = time.perf_counter()
        render(drawn, camera, 950, 480, DARK, workspace=workspace)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.040
