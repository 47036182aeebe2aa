"""The course of training: what is drawn of which records, and over which range."""

from __future__ import annotations

import math
from itertools import groupby, pairwise

import numpy as np
import pytest

from vaezoo.errors import DataError
from vaezoo.pictures import text, training_curve
from vaezoo.pictures.axes import Axis, tick_labels, value_range
from vaezoo.pictures.curve import COLORS, collect
from vaezoo.pictures.panel import FRAME

TRAIN, VALIDATION = COLORS["train"], COLORS["validation"]


def record(step, elbo=-100.0, split="train", **more):
    return {"split": split, "step": step, "elbo": elbo} | more


def pixels(picture, color):
    """Where exactly this colour is."""
    ys, xs = np.nonzero((np.asarray(picture) == color).all(axis=-1))
    return list(zip(xs.tolist(), ys.tolist(), strict=True))


def frame(picture):
    """The box of the only panel: left, top, right, bottom."""
    places = pixels(picture, FRAME)
    xs, ys = [x for x, _ in places], [y for _, y in places]
    return min(xs), min(ys), max(xs), max(ys)


def inside(picture, color):
    left, top, right, bottom = frame(picture)
    return [(x, y) for x, y in pixels(picture, color) if left <= x <= right and top <= y <= bottom]


def test_a_run_has_three_panels_of_about_1500_by_450():
    records = [record(s, -150.0 + s, reconstruction=-120.0 + s, kl=30.0) for s in range(1, 20)]
    picture = training_curve(records)
    assert 1400 <= picture.width <= 1600
    assert 420 <= picture.height <= 540
    panels = [
        color
        for color, _ in groupby(
            picture.getpixel((x, picture.height // 2)) == FRAME for x in range(picture.width)
        )
        if color
    ]
    assert len(panels) >= 3


def test_higher_values_are_drawn_higher_and_later_steps_further_right():
    points = sorted(inside(training_curve([record(s, float(s)) for s in range(10, 200)]), TRAIN))
    assert points[0][1] > points[-1][1] + 200
    assert points[-1][0] > points[0][0] + 300


def test_train_and_validation_have_a_colour_each_and_validation_may_be_missing():
    train = [record(s, -float(s)) for s in range(1, 30)]
    assert not pixels(training_curve(train), VALIDATION)
    both = training_curve([*train, record(10, -50.0, "validation"), record(20, -40, "validation")])
    assert inside(both, TRAIN)
    assert inside(both, VALIDATION)


def test_a_single_record_is_drawn_as_a_dot():
    points = inside(training_curve([record(468)]), TRAIN)
    xs, ys = {x for x, _ in points}, {y for _, y in points}
    assert 5 <= len(xs) <= 12
    assert 5 <= len(ys) <= 12


def test_a_record_at_step_zero_and_equal_values_can_be_drawn():
    assert inside(training_curve([record(0, 0.0)]), TRAIN)
    assert inside(training_curve([record(s, -7.0) for s in range(9)]), TRAIN)


@pytest.mark.parametrize("broken", [float("nan"), None, "NaN", -math.inf])
def test_a_value_that_is_not_finite_interrupts_the_line(broken):
    records = [record(s, broken if 40 < s < 60 else -100.0) for s in range(101)]
    columns = sorted({x for x, _ in inside(training_curve(records), TRAIN)})
    jumps = [b - a for a, b in pairwise(columns) if b - a > 1]
    assert len(jumps) == 1
    assert jumps[0] > 50


@pytest.mark.parametrize("bad", [{1: -1e9, 2: -1e6}, {50: 1e12}])
def test_a_bad_start_or_a_spike_leaves_the_frame_and_flattens_nothing(bad):
    records = [record(s, bad.get(s, -100.0 + s / 10)) for s in range(1, 101)]
    picture = training_curve(records)
    left, top, right, bottom = frame(picture)
    heights = [y for x, y in inside(picture, TRAIN) if x > (left + right) / 2 + 30]
    assert max(heights) - min(heights) > 0.3 * (bottom - top)
    below = [y for _, y in pixels(picture, TRAIN) if y > bottom + 1]
    beside = [x for x, _ in pixels(picture, TRAIN) if x > right]
    assert not below
    assert not beside
    edge = {y for _, y in inside(picture, TRAIN)}
    assert min(edge) <= top + 1 or max(edge) >= bottom - 1


def test_the_range_is_that_of_the_steps_after_the_first_five_percent():
    line = [(float(s), -300.0 if s < 5 else -150.0 + s / 2) for s in range(1, 101)]
    low, high = value_range([line])
    assert -155 < low < -147.5
    assert -100 < high < -95


def test_worsening_validation_stays_in_the_frame():
    train = [(float(s), -90.0) for s in range(1, 400)]
    validation = [(100.0, -95.0), (200.0, -94.0), (300.0, -110.0), (399.0, -160.0)]
    low, high = value_range([train, validation])
    assert low < -160
    assert high > -90


def test_the_last_of_repeated_steps_counts_and_steps_are_put_in_order():
    records = [record(30, -3.0), record(10, -1.0), record(20, -9.0), record(20, -2.0)]
    assert collect(records, "elbo") == {"train": [[(10.0, -1.0), (20.0, -2.0), (30.0, -3.0)]]}


def test_records_that_lack_a_value_do_not_interrupt_its_line():
    records = [record(1, -3.0), {"split": "train", "step": 2, "kl": 4.0}, record(3, -1.0)]
    assert collect(records, "elbo") == {"train": [[(1.0, -3.0), (3.0, -1.0)]]}


def test_loss_takes_the_place_of_an_elbo_that_was_not_recorded():
    losses = [{"split": "train", "step": s, "loss": 1.0 / s} for s in range(1, 9)]
    alone = training_curve(losses)
    with_elbo = training_curve([record(s, -1.0 / s, loss=1.0 / s) for s in range(1, 9)])
    assert alone.width == with_elbo.width
    assert alone.tobytes() != with_elbo.tobytes()


@pytest.mark.parametrize(
    "records",
    [[], [record(1, None)], [{"split": "test", "step": 1, "elbo": -1.0}], [{"split": "train"}]],
)
def test_records_without_anything_to_draw_are_refused(records):
    with pytest.raises(DataError, match=r"metrics\.jsonl"):
        training_curve(records)


def test_a_long_caption_is_wrapped_within_the_picture():
    records = [record(s, -float(s)) for s in range(1, 9)]
    plain, picture = training_curve(records), training_curve(records, caption="many words " * 40)
    assert picture.width == plain.width
    assert picture.height > plain.height + 100
    right = picture.crop((picture.width - 20, 0, picture.width, picture.height))
    assert right.getcolors() == [(20 * picture.height, text.PAPER)]


@pytest.mark.parametrize(
    ("low", "high", "most", "labels"),
    [
        (0, 9360, 5, ["0", "2,000", "4,000", "6,000", "8,000"]),
        (-182.0, -91.0, 6, ["-180", "-160", "-140", "-120", "-100"]),
        (-0.02, 0.31, 4, ["0.0", "0.1", "0.2", "0.3"]),
        (23.3, 24.8, 4, ["23.5", "24.0", "24.5"]),
        (-2e9, 2e9, 5, ["-2e+09", "-1e+09", "0", "1e+09", "2e+09"]),
    ],
)
def test_ticks_are_round_and_labelled_with_the_decimals_they_need(low, high, most, labels):
    assert tick_labels(Axis(low=low, high=high, pixels=100).ticks(most)) == labels
