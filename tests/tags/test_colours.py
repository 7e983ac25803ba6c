"""Colours: computed from the stylesheet: contrast, and series that anybody can tell apart."""

import re
from itertools import combinations
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

GROUNDS = {"light": ("#ffffff", "#f8f8f8"), "dark": ("#121212", "#212121")}
SERIES = ("series-1", "series-2", "series-3", "series-4", "series-5", "series-other")
TEXTS = ("ok", "warn", "bad", "link-fg", "line")
SHAPES = (*SERIES, "control-border")
DISTANCE_MIN = 27
# Of linear light, for who lacks one kind of cone; Machado, Oliveira and Fernandes, 2009.
SIGHTS = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
WHITE = (0.95047, 1.0, 1.08883)


STARTS = {
    "light": 'html[data-theme="light"] {',
    "dark": "  :root {",
    "dark, chosen": 'html[data-theme="dark"] {',
}
COLOUR = r"#[0-9a-f]{3,8}|rgb[^;]*"


def stylesheet():
    return Path(finders.find("tags/ui.css")).read_text()


def blocks():
    """Colours by name, of each of the three blocks."""
    css = stylesheet()
    bodies = {name: css.split(start)[1].split("}")[0] for name, start in STARTS.items()}
    return {
        name: dict(re.findall(rf"--([\w-]+): ({COLOUR});", body)) for name, body in bodies.items()
    }


def linear(colour):
    parts = (int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5))
    return tuple(v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)


def times(matrix, vector):
    return tuple(sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)


def contrast(one, other):
    lights = sorted(times(XYZ, linear(colour))[1] + 0.05 for colour in (one, other))
    return lights[1] / lights[0]


def lab(colour, sight):
    light = tuple(min(max(part, 0), 1) for part in times(SIGHTS[sight], linear(colour)))
    x, y, z = (
        t ** (1 / 3) if t > (6 / 29) ** 3 else t / (3 * (6 / 29) ** 2) + 4 / 29
        for t in (part / white for part, white in zip(times(XYZ, light), WHITE, strict=True))
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def test_it_has_its_colours_in_three_blocks_and_is_dark_in_one_way():
    found, rest = blocks(), stylesheet()
    for start in STARTS.values():
        rest = rest.replace(rest.split(start)[1].split("}")[0], "")

    assert re.findall(rf":[^;{{}}]*\b(?:{COLOUR})", rest) == []

    assert found["dark"] == found["dark, chosen"]
    assert len(found["dark"]) > 15


@pytest.mark.parametrize("theme", GROUNDS)
def test_it_can_be_read(theme):
    colours = blocks()[theme]
    low = [
        (name, ground, round(contrast(colours[name], ground), 2))
        for ground in GROUNDS[theme]
        for names, least in ((TEXTS, 4.5), (SHAPES, 3.0))
        for name in names
        if contrast(colours[name], ground) < least
    ]

    assert low == []
    header = blocks()["light"]
    assert contrast(header["header-bg"], "#ffffff") > 7
    assert contrast(header["header-bg"], header["accent"]) > 7


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("theme", GROUNDS)
def test_series_can_be_told_apart(theme, sight):
    colours = blocks()[theme]
    close = [
        (one, other, round(distance, 1))
        for one, other in combinations(SERIES, 2)
        for distance in [sum((a - b) ** 2 for a, b in zip(
            lab(colours[one], sight), lab(colours[other], sight), strict=True)) ** 0.5]
        if distance < DISTANCE_MIN
    ]  # fmt: skip

    assert close == []
