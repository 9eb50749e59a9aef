"""The passes of the renderer, as compiled kernels: numbers in, pixels out.

view: right, up, forward, target (12 numbers). lens: x and y of the middle, focal length in pixels, distance.
points: (N, 4) x, y, 1 / depth, radius in pixels; 1 / depth is 0 for a point that is not drawn. A negative radius is
half the diagonal of a diamond, of an octahedron with four faces in sight.
extents: (H, 2) in each line of the picture, the first column that a point covers and the first after the last. Clouds
are round and panes are wide, so what is done to covered pixels passes over most of the others.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hnm_core import kernels  # noqa: F401  (says where numba keeps what it compiles before numba is loaded)

from numba import njit  # isort: skip

Pixels = NDArray[np.uint32]
"""0xffRRGGBB"""
Bytes = NDArray[np.uint8]
Rows = NDArray[np.int32]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

FLOOR_LINES, FLOOR_PIECES = 24, 12
"""At most so many lines in each direction, each in so many pieces."""
FADE = 0.55
"""Share of the ground's colour in the farthest points."""

kernel = njit(cache=True, nogil=True, error_model="numpy")
"""Compiled once per machine; releases the GIL; a division by zero gives an infinity instead of raising."""

DIAMOND = 1.25
"""Half the diagonal of a diamond by the radius of a sphere that covers as many pixels."""

_NEAR = 0.02
"""Nothing nearer to the eye than this share of the camera's distance is drawn."""

# Single precision throughout the inner loops: half the time of double, and 24 bits are plenty for a pixel.
ZERO, HALF, TWO_THIRDS, ONE, WHITE = (np.float32(value) for value in (0, 0.5, 2 / 3, 1, 255))
AMBIENT, DIFFUSE, RIM, FLAT, SHINE, DOME = (np.float32(value) for value in (0.54, 0.52, 0.86, 0.92, 130.0, 6.0))
ACROSS = np.float32(0.70711)
"""How far the rim of a diamond is from a pixel, by what is missing along an axis."""
FACE = np.float32(0.57735)
"""The normal of a diamond's face, along each axis."""
LIGHT_X, LIGHT_Y, LIGHT_Z = (np.float32(value) for value in (-0.41, 0.58, 0.704))
HALF_X, HALF_Y, HALF_Z = (np.float32(value) for value in (-0.2221, 0.3142, 0.9230))
"""Half way between the light and the eye: where a sphere shines."""

# ITU-R BT.709: luma takes 219 steps, chroma 224, in 1 / 65536. Whole numbers of 32 bits go through vectors.
Y_RED, Y_GREEN, Y_BLUE, Y_BLACK = (np.int32(value) for value in (11966, 40254, 4064, (16 << 16) + (1 << 15)))
U_RED, U_GREEN, U_BLUE = (np.int32(value) for value in (-6596, -22188, 28784))
V_RED, V_GREEN, V_BLUE = (np.int32(value) for value in (28784, -26145, -2639))
NO_COLOR = np.int32((128 << 18) + (1 << 17))


@kernel
def lay_floor(
    x: float,
    y: float,
    z: float,
    radius: float,
    step: float,
    odd_alpha: float,
    color: Doubles,
    lines: Doubles,
    colors: Doubles,
) -> int:
    """Write the pieces of the floor's grid that are not quite faded out; how many there are."""
    reach, count = 2.1 * radius, 0
    for axis in range(2):
        here, there = (x, y) if axis == 0 else (y, x)
        first = math.ceil((here - reach) / step)
        numbers = min(int(math.floor((here + reach) / step) - first) + 1, FLOOR_LINES)
        for place in range(numbers):
            number = first + place
            across = number * step
            strength = 1.0 if number % 2 == 0 else odd_alpha
            side = (across - here) / reach
            for piece in range(FLOOR_PIECES):
                begin, end = 2.0 * piece / FLOOR_PIECES - 1.0, 2.0 * (piece + 1) / FLOOR_PIECES - 1.0
                begin_alpha = strength * max(1.0 - side * side - begin * begin, 0.0)
                end_alpha = strength * max(1.0 - side * side - end * end, 0.0)
                if begin_alpha <= 0.0 and end_alpha <= 0.0:
                    continue
                begin_along, end_along = there + reach * begin, there + reach * end
                lines[count, axis], lines[count, 1 - axis] = across, begin_along
                lines[count, 3 + axis], lines[count, 4 - axis] = across, end_along
                lines[count, 2] = lines[count, 5] = z - radius
                colors[count, :3] = color
                colors[count, 3], colors[count, 4] = 190.0 * begin_alpha, 190.0 * end_alpha
                count += 1
    return count


@kernel
def _pack(red: np.uint32, green: np.uint32, blue: np.uint32) -> np.uint32:
    return np.uint32(0xFF000000) | (np.uint32(red) << 16) | (np.uint32(green) << 8) | np.uint32(blue)


@kernel
def _mix(pixel: np.uint32, color: np.uint32, share: float | np.float32) -> np.uint32:
    """`pixel` covered by `color` to a share (0..1); both 0xffRRGGBB. Two channels at a time, in 1/256."""
    weight = np.uint32(share * 256 + 0.5)
    rest = np.uint32(256) - weight
    red_blue = (pixel & np.uint32(0xFF00FF)) * rest + (color & np.uint32(0xFF00FF)) * weight
    green = (pixel & np.uint32(0x00FF00)) * rest + (color & np.uint32(0x00FF00)) * weight
    red_blue, green = (red_blue + np.uint32(0x800080)) >> 8, (green + np.uint32(0x008000)) >> 8
    return np.uint32(0xFF000000) | (red_blue & np.uint32(0xFF00FF)) | (green & np.uint32(0x00FF00))


@kernel
def fill_ground(pixels: Pixels, depth: Floats, rows: Rows, extents: Rows, ground: Doubles) -> None:
    """A vertical gradient, dithered so that it shows no bands; what points covered of depth and rows in the picture
    before is emptied."""
    height, width = pixels.shape
    tile = np.empty(4, np.uint32)
    for y in range(height):
        share = (y + 0.5) / height
        red = ground[0, 0] + (ground[1, 0] - ground[0, 0]) * share
        green = ground[0, 1] + (ground[1, 1] - ground[0, 1]) * share
        blue = ground[0, 2] + (ground[1, 2] - ground[0, 2]) * share
        for phase in range(4):
            # One row of Bayer's 4 x 4 matrix, as thresholds in (0, 1).
            bits = ((phase ^ y) & 1) * 8 + (y & 1) * 4 + (((phase >> 1) ^ (y >> 1)) & 1) * 2 + ((y >> 1) & 1)
            threshold = (bits + 0.5) / 16
            tile[phase] = _pack(np.uint32(red + threshold), np.uint32(green + threshold), np.uint32(blue + threshold))
        for x in range(width):
            pixels[y, x] = tile[x & 3]
        for x in range(extents[y, 0], extents[y, 1]):
            depth[y, x] = 0.0
            rows[y, x] = -1
        extents[y, 0], extents[y, 1] = width, 0


@kernel
def project(
    positions: Floats,
    radii: Floats,
    view: Doubles,
    lens: Doubles,
    point_px: float,
    points: Floats,
) -> int:
    """Fill `points`; returns how many reach into the picture. A negative factor in `radii` is that of a diamond."""
    width, height, focal, distance = 2 * lens[0], 2 * lens[1], lens[2], lens[3]
    largest = 0.5 * height
    seen = 0
    for i in range(len(positions)):
        x, y, z = positions[i, 0] - view[9], positions[i, 1] - view[10], positions[i, 2] - view[11]
        depth = x * view[6] + y * view[7] + z * view[8] + distance
        points[i, 2] = 0.0
        # Not (depth > near) also holds for NaN; an infinite end fails one of the two.
        if not depth > _NEAR * distance or not depth < 1e30 or not abs(radii[i]) > 0:
            continue
        scale = focal / depth
        px = lens[0] + (x * view[0] + y * view[1] + z * view[2]) * scale
        py = lens[1] - (x * view[3] + y * view[4] + z * view[5]) * scale
        radius = min(abs(radii[i]) * point_px * distance / depth, largest)
        radius = max(radius, 0.75)  # so that it covers the centre of a pixel, wherever it lies
        if radii[i] < 0:
            radius = max(DIAMOND * radius, 1.0)
        reach = radius + 1
        if not (px > -reach and px < width + reach and py > -reach and py < height + reach):
            continue
        points[i, 0], points[i, 1], points[i, 2], points[i, 3] = px, py, 1 / depth, radius if radii[i] > 0 else -radius
        seen += 1
    return seen


@kernel
def depth_range(points: Floats) -> tuple[float, float]:
    """Depths between which the picture fades: mean -+ 2 standard deviations of the points in view."""
    count, total, squares = 0, 0.0, 0.0
    for i in range(len(points)):
        if points[i, 2] > 0:
            depth = 1.0 / points[i, 2]
            count += 1
            total += depth
            squares += depth * depth
    if count == 0:
        return 1.0, 2.0
    mean = total / count
    spread = math.sqrt(max(squares / count - mean * mean, 0.0))
    return mean - 2 * spread, mean + 2 * spread


@kernel
def _fade(depth: float, near: float, far: float) -> float:
    """How much of the ground's colour something at `depth` takes on."""
    # A flat cloud, seen from far, does not fade: what differs by less than a hundredth of the depth looks equal.
    span = max(far - near, 0.01 * far)
    return FADE * min(max((depth - near) / span, 0.0), 1.0)


@kernel
def _span(middle: float, reach: float, size: int) -> tuple[int, int]:
    """Pixels from `first` up to but not including `stop` whose centres lie within `reach` of `middle`."""
    return max(math.ceil(middle - reach - 0.5), 0), min(math.floor(middle + reach - 0.5) + 1, size)


@kernel
def _widen(extents: Rows, y: int, first: int, stop: int) -> None:
    if first < stop:
        extents[y, 0], extents[y, 1] = min(extents[y, 0], first), max(extents[y, 1], stop)


@kernel
def _cover_diamond(
    depth: Floats,
    rows: Rows,
    extents: Rows,
    i: int,
    cx: float,
    cy: float,
    inverse: float,
    radius: float,
    focal: np.float32,
) -> None:
    height, width = depth.shape
    bulge = inverse * radius / focal
    first_y, stop_y = _span(cy, radius, height)
    for y in range(first_y, stop_y):
        left = radius - float(abs(np.float32(y + 0.5) - cy))
        first_x, stop_x = _span(cx, left, width)
        _widen(extents, y, first_x, stop_x)
        for x in range(first_x, stop_x):
            here = inverse + bulge * (left - abs(np.float32(x + 0.5) - cx)) / radius
            if here > depth[y, x]:
                depth[y, x] = here
                rows[y, x] = i


@kernel
def cover(depth: Floats, rows: Rows, extents: Rows, points: Floats, focal: np.float32) -> None:
    """Depth and row of the nearest sphere or diamond in every pixel whose centre it covers, and the extents."""
    height, width = depth.shape
    for i in range(len(points)):
        cx, cy, inverse, radius = points[i, 0], points[i, 1], points[i, 2], abs(points[i, 3])
        if inverse <= ZERO:
            continue
        if points[i, 3] < ZERO:
            _cover_diamond(depth, rows, extents, i, cx, cy, inverse, radius, focal)
            continue
        bulge, square, per_square = inverse * radius / focal, radius * radius, ONE / (radius * radius)
        first_y, stop_y = _span(cy, radius, height)
        for y in range(first_y, stop_y):
            dy = np.float32(y + 0.5) - cy
            first_x, stop_x = _span(cx, math.sqrt(max(square - dy * dy, ZERO)), width)
            _widen(extents, y, first_x, stop_x)
            for x in range(first_x, stop_x):
                behind = depth[y, x]
                if inverse + bulge > behind:
                    dx = np.float32(x + 0.5) - cx
                    here = inverse + bulge * math.sqrt(max(ONE - (dx * dx + dy * dy) * per_square, ZERO))
                    if here > behind:
                        depth[y, x] = here
                        rows[y, x] = i


@kernel
def faded_colors(
    points: Floats,
    colors: NDArray[np.uint8],
    ground: Doubles,
    height: int,
    near: float,
    far: float,
) -> Floats:
    """(N, 4) red, green, blue with the ground's colour mixed in by depth, and how much the point shines."""
    faded = np.empty((len(points), 4), np.float32)
    for i in range(len(points)):
        if points[i, 2] <= 0:
            continue
        fade = _fade(1.0 / points[i, 2], near, far)
        share = min(max(points[i, 1] / height, 0.0), 1.0)
        for c in range(3):
            faded[i, c] = colors[i, c] + (ground[0, c] + (ground[1, c] - ground[0, c]) * share - colors[i, c]) * fade
        # A point of one pixel has no room for light and shade.
        faded[i, 3] = (1 - fade) * min(max((abs(points[i, 3]) - 1.0) / 1.5, 0.0), 1.0)
    return faded


@kernel
def shade(pixels: Pixels, rows: Rows, extents: Rows, points: Floats, faded: Floats) -> None:
    """Colour every covered pixel by its sphere, or by the face of its diamond, lit from the upper left."""
    for y in range(len(pixels)):
        for x in range(extents[y, 0], extents[y, 1]):
            i = rows[y, x]
            if i < 0:
                continue
            per_radius = ONE / points[i, 3]
            nx = (np.float32(x + 0.5) - points[i, 0]) * per_radius
            ny = (points[i, 1] - np.float32(y + 0.5)) * per_radius
            if points[i, 3] < ZERO:  # which mirrors nx and ny: both are told by their signs alone
                nx, ny = FACE if nx < ZERO else -FACE, FACE if ny < ZERO else -FACE
            nz = math.sqrt(max(ONE - nx * nx - ny * ny, ZERO))
            diffuse = max(nx * LIGHT_X + ny * LIGHT_Y + nz * LIGHT_Z, ZERO)
            # A point of one pixel has no room for light and shade.
            roundness = min(max((abs(points[i, 3]) - ONE) * TWO_THIRDS, ZERO), ONE)
            shade = FLAT + ((AMBIENT + DIFFUSE * diffuse) * (RIM + (ONE - RIM) * nz) - FLAT) * roundness
            gloss = max(nx * HALF_X + ny * HALF_Y + nz * HALF_Z, ZERO)
            gloss *= gloss
            gloss *= gloss
            gloss *= gloss
            gloss *= gloss
            gloss *= gloss * SHINE * faded[i, 3] * roundness
            pixels[y, x] = _pack(
                np.uint32(min(faded[i, 0] * shade + gloss, WHITE)),
                np.uint32(min(faded[i, 1] * shade + gloss, WHITE)),
                np.uint32(min(faded[i, 2] * shade + gloss, WHITE)),
            )


@kernel
def shade_by_depth(pixels: Pixels, depth: Floats, extents: Rows, reach: int) -> None:
    """Eye-dome lighting: a pixel is darkened by how far its neighbours, `reach` pixels away, stand out before it."""
    height, width = pixels.shape
    for y in range(reach, height - reach):
        above, below = y - reach, y + reach
        for x in range(max(extents[y, 0], reach), min(extents[y, 1], width - reach)):
            here = depth[y, x]
            if here <= ZERO:
                continue
            left, right = x - reach, x + reach
            over = max(depth[above, x] - here, ZERO) + max(depth[below, x] - here, ZERO)
            over += max(depth[y, left] - here, ZERO) + max(depth[y, right] - here, ZERO)
            over += max(depth[above, left] - here, ZERO) + max(depth[above, right] - here, ZERO)
            over += max(depth[below, left] - here, ZERO) + max(depth[below, right] - here, ZERO)
            if over > ZERO:
                pixels[y, x] = _mix(np.uint32(0xFF000000), pixels[y, x], ONE / (ONE + min(DOME * over / here, ONE)))


@kernel
def _covered_share(points: Floats, i: int, x: int, y: int) -> float:
    """How much of a pixel sphere or diamond `i` covers, from the distance of the pixel's centre to the rim."""
    dx, dy, radius = np.float32(x + 0.5) - points[i, 0], np.float32(y + 0.5) - points[i, 1], points[i, 3]
    if radius < ZERO:
        inside = (-radius - abs(dx) - abs(dy)) * ACROSS
    else:
        inside = (radius * radius - dx * dx - dy * dy) * HALF / radius
    share: float = min(max(inside + HALF, ZERO), ONE)
    return share


@kernel
def smooth_rims(
    pixels: Pixels, depth: Floats, rows: Rows, extents: Rows, points: Floats, rims: Rows, smooth: Pixels
) -> None:
    """Mix the jagged rims of spheres by the share of the pixel they cover.

    rims, smooth: (H * W,) where rims are, and what they become when all have been looked at, for each is mixed with its
    neighbours as they were.
    """
    height, width = pixels.shape
    count = 0
    for y in range(1, height - 1):
        above, below = y - 1, y + 1
        first = min(extents[above, 0], extents[y, 0] - 1, extents[below, 0])
        stop = max(extents[above, 1], extents[y, 1] + 1, extents[below, 1])
        for x in range(max(first, 1), min(stop, width - 1)):
            left, right = x - 1, x + 1
            i = rows[y, x]
            if (rows[above, x] ^ i) | (rows[below, x] ^ i) | (rows[y, left] ^ i) | (rows[y, right] ^ i) == 0:
                continue
            pixel, here = pixels[y, x], depth[y, x]
            if i >= 0:
                # A rim pixel of this sphere: a share of it shows what lies just outside.
                share = _covered_share(points, i, x, y)
                if share < ONE:
                    dx, dy = np.float32(x + 0.5) - points[i, 0], np.float32(y + 0.5) - points[i, 1]
                    steep, level = abs(dy) > np.float32(0.4142) * abs(dx), abs(dx) > np.float32(0.4142) * abs(dy)
                    out_x = (right if dx > 0 else left) if level else x
                    out_y = (below if dy > 0 else above) if steep else y
                    if depth[out_y, out_x] < here:
                        pixel = _mix(pixels[out_y, out_x], pixel, share)
            # Just outside of a nearer sphere: that sphere covers a share of the pixel.
            at_x, at_y, nearest = x, y, here
            if rows[above, x] != i and depth[above, x] > nearest:
                at_y, nearest = above, depth[above, x]
            if rows[below, x] != i and depth[below, x] > nearest:
                at_y, nearest = below, depth[below, x]
            if rows[y, left] != i and depth[y, left] > nearest:
                at_x, at_y, nearest = left, y, depth[y, left]
            if rows[y, right] != i and depth[y, right] > nearest:
                at_x, at_y, nearest = right, y, depth[y, right]
            if nearest > here:
                pixel = _mix(pixel, pixels[at_y, at_x], _covered_share(points, rows[at_y, at_x], x, y))
            if pixel != pixels[y, x]:
                rims[count], smooth[count] = y * width + x, pixel
                count += 1
    every = pixels.ravel()
    for place in range(count):
        every[rims[place]] = smooth[place]


@kernel
def draw_lines(
    pixels: Pixels,
    depth: Floats,
    lines: Doubles,
    colors: Doubles,
    shapes: Doubles,
    view: Doubles,
    lens: Doubles,
    near: float,
    far: float,
) -> None:
    """Antialiased lines (L, 6) in colours (L, 5): r, g, b, alpha at each end (0..255); they fade with their depth.

    shapes: (L, 2) half their width in pixels, and what share is seen where something nearer covers them.
    """
    clip = _NEAR * lens[3]
    ends = np.empty((2, 4))  # x, y, 1 / depth, alpha
    camera = np.empty((2, 4))  # right, up, depth, alpha
    for i in range(len(lines)):
        fine = True
        for e in range(2):
            x, y, z = lines[i, 3 * e] - view[9], lines[i, 3 * e + 1] - view[10], lines[i, 3 * e + 2] - view[11]
            camera[e, 0] = x * view[0] + y * view[1] + z * view[2]
            camera[e, 1] = x * view[3] + y * view[4] + z * view[5]
            camera[e, 2] = x * view[6] + y * view[7] + z * view[8] + lens[3]
            camera[e, 3] = colors[i, 3 + e] / 255
            fine = fine and abs(camera[e, 0]) + abs(camera[e, 1]) + abs(camera[e, 2]) < 1e30
        if not fine or (camera[0, 2] <= clip and camera[1, 2] <= clip):
            continue
        for e in range(2):
            if camera[e, 2] < clip:
                t = (clip - camera[e, 2]) / (camera[1 - e, 2] - camera[e, 2])
                for c in range(4):
                    camera[e, c] += (camera[1 - e, c] - camera[e, c]) * t
        for e in range(2):
            ends[e, 0] = lens[0] + lens[2] * camera[e, 0] / camera[e, 2]
            ends[e, 1] = lens[1] - lens[2] * camera[e, 1] / camera[e, 2]
            ends[e, 2] = 1 / camera[e, 2]
            ends[e, 3] = camera[e, 3] * (1 - _fade(camera[e, 2], near, far))
        color = _pack(np.uint32(colors[i, 0]), np.uint32(colors[i, 1]), np.uint32(colors[i, 2]))
        _draw_line(pixels, depth, ends, color, shapes[i, 0], np.float32(shapes[i, 1]))


@kernel
def _draw_line(
    pixels: Pixels, depth: Floats, ends: Doubles, color: np.uint32, half_px: float, through: np.float32
) -> None:
    """One line on the screen, pixel by pixel along its longer axis, a few pixels across."""
    height, width = pixels.shape
    dx, dy = ends[1, 0] - ends[0, 0], ends[1, 1] - ends[0, 1]
    flat = abs(dx) >= abs(dy)
    length = math.sqrt(dx * dx + dy * dy)
    if length < 1e-9:
        return
    major, minor = (0, 1) if flat else (1, 0)
    first, last = (0, 1) if ends[0, major] <= ends[1, major] else (1, 0)
    m0, m1 = ends[first, major], ends[last, major]
    long_side, short_side = (width, height) if flat else (height, width)
    if m0 >= long_side or m1 <= 0:
        return
    # Across, a line is solid and ends in ramps of one pixel. A thin one is two ramps, its width told by its alpha.
    across = 2 * half_px * length / (m1 - m0)
    strength, spread = (across, 1.0) if across < 1.6 else (1.0, across / 2 + 0.5)
    slope = (ends[last, minor] - ends[first, minor]) / (m1 - m0)
    inverse_slope = (ends[last, 2] - ends[first, 2]) / (m1 - m0)
    alpha_slope = (ends[last, 3] - ends[first, 3]) / (m1 - m0)
    long_step, short_step = (1, width) if flat else (width, 1)
    line_pixels, line_depth = pixels.ravel(), depth.ravel()
    for m in range(math.ceil(max(m0, 0.0) - 0.5), math.ceil(min(m1, float(long_side)) - 0.5)):
        along = m + 0.5 - m0
        middle = ends[first, minor] + slope * along
        if not (middle > -spread and middle < short_side + spread):
            continue
        inverse = np.float32(ends[first, 2] + inverse_slope * along)
        alpha = np.float32(min((ends[first, 3] + alpha_slope * along) * strength, 1.0))
        start, stop = _span(middle, spread, short_side)
        index = m * long_step + start * short_step
        off = np.float32(start + 0.5 - middle)
        for _ in range(start, stop):
            seen = ONE if inverse > line_depth[index] else through
            if seen > ZERO:
                cover = max(min(np.float32(spread) - abs(off), ONE), ZERO)
                line_pixels[index] = _mix(line_pixels[index], color, alpha * cover * seen)
            off += ONE
            index += short_step


@kernel
def draw_halos(
    pixels: Pixels,
    depth: Floats,
    points: Floats,
    places: Rows,
    colors: Doubles,
    thick_px: float,
    focal: np.float32,
) -> None:
    """Rings `thick_px` wide just outside of spheres, in colours (H, 4): r, g, b, alpha (0..255). What lies before a
    sphere covers its ring."""
    height, width = pixels.shape
    for h in range(len(places)):
        i = places[h]
        cx, cy, inverse, radius = points[i, 0], points[i, 1], points[i, 2], abs(points[i, 3])
        if inverse <= ZERO:
            continue
        nearest = inverse * (ONE + radius / focal)
        middle, half = radius + 0.9 * thick_px, 0.5 * thick_px
        reach = middle + half + 0.5
        color = _pack(np.uint32(colors[h, 0]), np.uint32(colors[h, 1]), np.uint32(colors[h, 2]))
        alpha = colors[h, 3] / 255
        first_y, stop_y = _span(cy, reach, height)
        first_x, stop_x = _span(cx, reach, width)
        for y in range(first_y, stop_y):
            dy = y + 0.5 - cy
            for x in range(first_x, stop_x):
                dx = x + 0.5 - cx
                cover = min(half + 0.5 - abs(math.sqrt(dx * dx + dy * dy) - middle), 1.0)
                if cover > 0.0 and depth[y, x] <= nearest:
                    pixels[y, x] = _mix(pixels[y, x], color, alpha * cover)


@kernel
def reduce(
    pixels: Pixels,
    rows: Rows,
    factor: int,
    small_pixels: Pixels,
    small_rows: Rows,
) -> None:
    """Means of factor x factor pixels; the row is the one seen in the middle."""
    height, width = small_pixels.shape
    area = factor * factor
    for y in range(height):
        for x in range(width):
            red, green, blue = np.uint32(area // 2), np.uint32(area // 2), np.uint32(area // 2)
            for j in range(y * factor, (y + 1) * factor):
                for i in range(x * factor, (x + 1) * factor):
                    red += (pixels[j, i] >> 16) & 0xFF
                    green += (pixels[j, i] >> 8) & 0xFF
                    blue += pixels[j, i] & 0xFF
            small_pixels[y, x] = _pack(red // area, green // area, blue // area)
            small_rows[y, x] = rows[y * factor + factor // 2, x * factor + factor // 2]


@kernel
def to_yuv(pixels: Pixels, left: int, top: int, luma: Bytes, blue: Bytes, red: Bytes, width: int, height: int) -> None:
    """Write a part of a picture as BT.709 in limited range, with a pair of chroma values for each 2 x 2 pixels; `width`
    and `height` are even, and rows of the three planes may be longer."""
    # Stretches that begin at 0 and constants of the same 32 bits as the values: only so it goes through vectors.
    eight, sixteen, byte, ten, two = (
        np.uint32(8),
        np.uint32(16),
        np.uint32(0xFF),
        np.uint32(0x3FF),
        np.uint32(0xFF00FF),
    )
    for y in range(height):
        line, row = luma[y], pixels[top + y, left : left + width]
        for x in range(width):
            pixel = row[x]
            r = np.int32((pixel >> sixteen) & byte)
            g = np.int32((pixel >> eight) & byte)
            b = np.int32(pixel & byte)
            line[x] = np.uint8((Y_RED * r + Y_GREEN * g + Y_BLUE * b + Y_BLACK) >> np.int32(16))
    for y in range(height // 2):
        line, other = blue[y], red[y]
        upper = pixels[top + 2 * y, left : left + width]
        lower = pixels[top + 2 * y + 1, left : left + width]
        for x in range(width // 2):
            p, q, s, t = upper[2 * x], upper[2 * x + 1], lower[2 * x], lower[2 * x + 1]
            # Red and blue of a pixel at once: four bytes add up to ten bits.
            mixed = (p & two) + (q & two) + (s & two) + (t & two)
            green = (p >> eight & byte) + (q >> eight & byte) + (s >> eight & byte) + (t >> eight & byte)
            reds, greens, blues = np.int32(mixed >> sixteen), np.int32(green), np.int32(mixed & ten)
            line[x] = np.uint8((U_RED * reds + U_GREEN * greens + U_BLUE * blues + NO_COLOR) >> np.int32(18))
            other[x] = np.uint8((V_RED * reds + V_GREEN * greens + V_BLUE * blues + NO_COLOR) >> np.int32(18))
