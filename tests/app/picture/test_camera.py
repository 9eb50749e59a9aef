from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from app.picture.camera import MIN_RADIUS, Camera, blend, fit, followed, lowered, moved_down, snug

WIDTH, HEIGHT = 640.0, 480.0


def projected_by_matrices(camera: Camera, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The textbook way: a look-at matrix from cross products, then a 4 x 4 perspective matrix and a viewport."""
    azimuth, elevation = math.radians(camera.azimuth), math.radians(camera.elevation)
    direction = np.array(
        [math.cos(elevation) * math.cos(azimuth), math.cos(elevation) * math.sin(azimuth), math.sin(elevation)]
    )
    eye = np.array(camera.target) + camera.distance * direction
    forward = -direction
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    look = np.eye(4)
    look[0, :3], look[1, :3], look[2, :3] = right, np.cross(right, forward), forward
    look[:3, 3] = -look[:3, :3] @ eye
    f = 1 / math.tan(math.radians(camera.fov) / 2)
    clip = np.diag([f * HEIGHT / WIDTH, f, 1, 1]) @ look @ np.column_stack((points, np.ones(len(points)))).T
    return WIDTH / 2 * (1 + clip[0] / clip[2]), HEIGHT / 2 * (1 - clip[1] / clip[2]), clip[2]


def test_that_project_equals_look_at_and_perspective_matrices():
    generator = np.random.default_rng(0)
    points = generator.normal(size=(50, 3))
    camera = Camera(target=(0.3, -0.2, 0.5), distance=6.0, azimuth=130.0, elevation=-40.0, fov=50.0)
    for ours, theirs in zip(camera.project(points, WIDTH, HEIGHT), projected_by_matrices(camera, points), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


def test_that_the_target_is_in_the_middle_at_the_camera_distance():
    camera = Camera(target=(1.0, 2.0, 3.0), distance=7.0)
    x, y, depth = camera.project(np.array([camera.target]), WIDTH, HEIGHT)
    assert (x[0], y[0], depth[0]) == pytest.approx((320, 240, 7))


def test_that_plus_z_is_up_and_a_larger_azimuth_looks_from_further_round_to_the_left_hand_turn():
    x, y, _ = Camera(azimuth=0.0, elevation=0.0).project(np.array([[0, 1, 0], [0, 0, 1]]), WIDTH, HEIGHT)
    assert x[0] > 320 and y[0] == pytest.approx(240)  # from +x, +y lies to the right
    assert x[1] == pytest.approx(320) and y[1] < 240


def test_that_points_behind_the_eye_project_to_nan():
    x, y, depth = Camera(azimuth=0.0, elevation=0.0, distance=4.0).project(np.array([[5.0, 0, 0]]), WIDTH, HEIGHT)
    assert np.isnan(x[0]) and np.isnan(y[0]) and depth[0] == pytest.approx(-1)


def test_that_orbiting_stops_short_of_the_poles_and_wraps_round():
    camera = Camera(azimuth=350.0, elevation=80.0).orbited(20.0, 60.0)
    assert camera.azimuth == pytest.approx(10.0) and camera.elevation == 89.0
    assert Camera(elevation=-80.0).orbited(0.0, -60.0).elevation == -89.0


def test_that_zooming_by_two_halves_the_distance_and_is_bounded():
    assert Camera(distance=4.0).zoomed(2.0).distance == 2.0
    assert Camera(distance=4.0, radius=1.0).zoomed(1e9).distance == pytest.approx(1e-3)
    assert Camera(distance=4.0, radius=1.0).zoomed(1e-9).distance == pytest.approx(1e3)


def test_that_after_panning_the_old_target_is_where_the_pointer_went():
    camera = Camera(target=(1.0, 2.0, 3.0), azimuth=77.0, elevation=31.0)
    panned = camera.panned(40.0, -25.0, HEIGHT)
    x, y, _ = panned.project(np.array([camera.target]), WIDTH, HEIGHT)
    assert (x[0], y[0]) == pytest.approx((320 + 40, 240 - 25))
    assert panned.center == camera.center


@pytest.mark.parametrize("aspect", [0.4, 1.0, 1.9])
def test_that_a_fitted_cloud_is_inside_the_picture_from_every_side_and_fills_it(aspect: float):
    positions = np.random.default_rng(1).uniform(-1, 1, (2000, 3)) * (3.0, 1.0, 0.5) + (10, 20, -5)
    camera = fit(positions, aspect)
    height = 400.0
    width = aspect * height
    filled = 0.0
    for turn in range(0, 360, 30):
        x, y, _ = camera.orbited(turn, 0).project(positions, width, height)
        inside = (x > 0) & (x < width) & (y > 0) & (y < height)
        assert inside.mean() >= 0.98
        filled = max(filled, np.ptp(x) / min(width, height), np.ptp(y) / min(width, height))
    assert filled > 0.75


def test_that_one_stray_point_does_not_shrink_the_others():
    positions = np.random.default_rng(2).normal(size=(500, 3))
    with_stray = np.concatenate((positions, [[1e6, 0, 0]]))
    assert fit(with_stray).radius == pytest.approx(fit(positions).radius, rel=0.05)


def test_that_rows_that_are_not_finite_are_left_out():
    positions = np.random.default_rng(3).normal(size=(100, 3))
    broken = np.concatenate((positions, [[np.nan, 0, 0], [0, np.inf, 0]]))
    assert fit(broken) == fit(positions)


@pytest.mark.parametrize(
    "positions",
    [np.empty((0, 3)), np.full((5, 3), np.nan), np.zeros((1, 3)), np.full((9, 3), 1e30), np.eye(3) * 1e-20],
    ids=["empty", "nan", "one", "huge", "tiny"],
)
def test_that_degenerate_clouds_get_a_usable_camera(positions: np.ndarray):
    camera = fit(positions.astype(np.float32))
    assert np.isfinite([*camera.target, camera.distance, camera.radius]).all()
    assert camera.distance > camera.radius > 0


def test_that_a_collapsed_cloud_is_shown_as_a_speck():
    camera = fit(np.full((100, 3), 2.0) + np.random.default_rng(4).normal(size=(100, 3)) * 1e-7)
    assert camera.radius == MIN_RADIUS and camera.target == pytest.approx((2.0, 2.0, 2.0), abs=1e-5)


def test_that_fitting_keeps_the_direction():
    like = Camera(azimuth=123.0, elevation=-45.0, fov=50.0)
    camera = fit(np.eye(3), like=like)
    assert (camera.azimuth, camera.elevation, camera.fov) == (123.0, -45.0, 50.0)


def test_that_blending_takes_the_short_way_round_and_meets_both_ends():
    a, b = Camera(azimuth=350.0, distance=1.0), Camera(azimuth=20.0, distance=4.0, target=(2.0, 0.0, 0.0))
    assert blend(a, b, 0.0) == a and blend(a, b, 1.0) == b
    half = blend(a, b, 0.5)
    assert (half.azimuth, half.distance, half.target[0]) == pytest.approx((5.0, 2.0, 1.0))


def test_that_following_does_not_depend_on_the_frame_rate():
    start, goal = Camera(distance=1.0, radius=0.3), Camera(distance=8.0, target=(3.0, 1.0, 0.0), azimuth=80.0)
    coarse = followed(followed(start, goal, 0.1), goal, 0.1)
    fine = start
    for _ in range(20):
        fine = followed(fine, goal, 0.01)
    assert fine.distance == pytest.approx(coarse.distance) and fine.target == pytest.approx(coarse.target)
    assert fine.azimuth == pytest.approx(coarse.azimuth)


def test_that_a_camera_hurries_after_a_cloud_it_is_about_to_lose_and_is_as_calm_as_ever_near_it():
    goal = Camera(distance=8.0, radius=2.0, target=(3.0, 1.0, 0.0))
    lost = replace(goal, target=(9.0, 1.0, 0.0), distance=2.0)
    calm, quick = followed(lost, goal, 0.1), followed(lost, goal, 0.1, slack=0.2)
    assert abs(calm.target[0] - 3.0) > 4.5 and abs(quick.target[0] - 3.0) < 1.0 and quick.distance > 5.0
    coarse, fine = followed(quick, goal, 0.1, slack=0.2), quick
    for _ in range(10):
        fine = followed(fine, goal, 0.01, slack=0.2)
    assert fine.distance == pytest.approx(coarse.distance) and fine.target == pytest.approx(coarse.target)
    near = replace(goal, target=(3.02, 1.0, 0.0))
    assert followed(near, goal, 0.1, slack=0.2).target == pytest.approx(followed(near, goal, 0.1).target, abs=1e-4)


def test_that_following_arrives_exactly():
    camera, goal = Camera(distance=1.0), Camera(distance=8.0, target=(3.0, 1.0, 0.0))
    for _ in range(300):
        camera = followed(camera, goal, 1 / 30)
    assert camera == goal


@pytest.mark.parametrize(("elevation", "distance"), [(0.0, 4.0), (22.0, 4.0), (-60.0, 9.0)])
def test_that_a_lowered_ball_lies_in_the_middle_of_what_labels_leave_and_stays_in_the_picture(elevation, distance):
    height, top, bottom = 220.0, 90.0, 24.0
    camera = Camera(elevation=elevation, distance=distance, target=(1, 2, 3), center=(1, 2, 3), radius=distance / 3.6)
    below = lowered(camera, height, top, bottom)
    _, y, depth = below.project(np.array([below.center]), 300, height)
    ball = below.focal_px(height) * below.radius / depth[0]
    assert y[0] == pytest.approx(height / 2 + (top - bottom) / 2, abs=1)
    assert y[0] + ball < height + 6 and depth[0] >= distance
    assert (below.azimuth, below.center, below.radius) == (camera.azimuth, camera.center, camera.radius)


def test_that_a_ball_that_lies_clear_of_the_labels_or_below_none_is_left_alone():
    camera = Camera(distance=20.0)
    assert lowered(camera, 400, 60, 20) == camera
    near = fit(np.eye(3))
    assert lowered(near, 400, 0, 0) == near and lowered(near, 400, 20, 60) == near
    assert lowered(near, 400, 60, 20) != near


CLOUDS = {
    "ball": (1.0, 1.0, 1.0),
    "disc": (1.0, 1.0, 0.02),
    "needle": (0.03, 0.03, 1.0),
    "plank": (2.0, 0.3, 0.1),
}


@pytest.mark.parametrize("shape", CLOUDS.values(), ids=CLOUDS)
@pytest.mark.parametrize("aspect", [0.5, 1.0, 2.5])
@pytest.mark.parametrize("elevation", [-40.0, 0.0, 22.0, 80.0])
@pytest.mark.parametrize("free", [1.0, 0.6])
def test_that_a_snug_camera_shows_all_of_a_cloud_from_every_side_and_no_more(shape, aspect, elevation, free):
    source = np.random.default_rng(5)
    positions = source.normal(size=(3000, 3))
    positions /= np.linalg.norm(positions, axis=1, keepdims=True)
    positions = positions * shape + (3, -4, 5)
    camera = snug(positions, aspect, Camera(elevation=elevation), free)
    height = 400.0
    widest = highest = 0.0
    for turn in range(0, 360, 10):
        x, y, depth = camera.orbited(turn, 0).project(positions, aspect * height, height)
        assert (depth > 0).all()
        widest = max(widest, 2 * np.abs(x / (aspect * height) - 0.5).max())
        highest = max(highest, 2 * np.abs(y / height - 0.5).max() / free)
    assert max(widest, highest) <= 1.0
    assert max(widest, highest) > 0.85, "it is nearly as near as it can be"
    assert snug(positions, aspect, camera, 1.0).distance <= fit(positions, aspect, camera).distance * 1.001


@pytest.mark.parametrize("shape", CLOUDS.values(), ids=CLOUDS)
@pytest.mark.parametrize("azimuth", [0.0, 40.0, 90.0, 200.0])
@pytest.mark.parametrize("elevation", [-40.0, 22.0])
def test_that_a_camera_that_turns_little_comes_nearer_and_loses_nothing_on_its_way(shape, azimuth, elevation):
    positions = np.random.default_rng(5).normal(size=(3000, 3))
    positions = positions / np.linalg.norm(positions, axis=1, keepdims=True) * shape + (3, -4, 5)
    like, height, aspect, turn = Camera(azimuth=azimuth, elevation=elevation), 400.0, 0.8, 12.0
    camera = snug(positions, aspect, like, 0.9, turn)
    largest = 0.0
    for by in np.linspace(-turn, turn, 21):
        x, y, depth = camera.orbited(float(by), 0).project(positions, aspect * height, height)
        assert (depth > 0).all()
        across, along = 2 * np.abs(x / (aspect * height) - 0.5).max(), 2 * np.abs(y / height - 0.5).max() / 0.9
        largest = max(largest, across, along)
    assert 0.85 < largest <= 1.0
    assert camera.distance <= snug(positions, aspect, like, 0.9).distance


def test_that_a_long_cloud_is_looked_at_from_nearer_at_its_end_than_at_its_side():
    positions = np.random.default_rng(5).uniform(-1, 1, (3000, 3)) * CLOUDS["plank"]
    end, side = (snug(positions, 1.0, Camera(azimuth=azimuth, elevation=10.0), 1.0, 12.0) for azimuth in (0.0, 90.0))
    assert end.distance < 0.75 * side.distance


def test_that_a_snug_camera_does_not_blow_up_a_speck_and_survives_what_is_not_finite():
    speck = np.full((100, 3), 2.0) + np.random.default_rng(4).normal(size=(100, 3)) * 1e-7
    assert snug(speck, 1.5, Camera()).distance >= MIN_RADIUS
    lost = np.full((10, 3), np.nan)
    assert np.isfinite(snug(lost, 1.5, Camera()).distance)
    cloud = np.random.default_rng(3).normal(size=(200, 3))
    assert snug(np.concatenate((cloud, lost)), 1.5, Camera()) == snug(cloud, 1.5, Camera())


@pytest.mark.parametrize("down", [-30.0, 0.0, 40.0])
def test_that_what_is_moved_down_stays_there_while_the_camera_turns(down: float):
    camera = moved_down(Camera(distance=4.0, center=(1, 2, 3), target=(1, 2, 3)), 300.0, down)
    for turn in (0, 90, 200):
        _, y, _ = camera.orbited(turn, 0).project(np.array([camera.center]), 400, 300.0)
        assert y[0] == pytest.approx(150 + down, abs=0.5)
