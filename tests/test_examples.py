"""The examples run, and show what they say."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from convcheck.reference import corr2d

EXAMPLES = Path(__file__).parents[1] / "examples"
KERNELS = {"cpp_conv", "numba_conv", "triton_conv"}  # tested in test_kernels.py
NAMES = sorted({path.stem for path in EXAMPLES.glob("*.py")} - KERNELS)
NEED_TORCH = {"learn_a_kernel"}


def load(name):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", NAMES)
def test_the_example_runs_without_a_warning_and_prints(name):
    if name in NEED_TORCH:
        pytest.importorskip("torch")
    program = [sys.executable, "-W", "error", EXAMPLES / f"{name}.py"]
    result = subprocess.run(program, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout


def test_every_example_is_listed_here():
    expected = "edge_detection from_dense_to_convolution learn_a_kernel sharpen_and_blur time_series video"
    assert " ".join(NAMES) == expected


class TestEdgeDetection:
    def test_the_two_edges_are_1_and_minus_1_and_the_rest_is_0(self):
        example = load("edge_detection")
        assert corr2d(example.black_bar(), example.KERNEL).tolist() == [[0, 1, 0, 0, 0, -1, 0]] * 6

    def test_the_transposed_image_has_no_edge_for_this_kernel(self):
        example = load("edge_detection")
        assert corr2d(example.black_bar().T, example.KERNEL).tolist() == [[0] * 5] * 8


class TestLearnAKernel:
    @pytest.fixture
    def example(self):
        pytest.importorskip("torch")
        return load("learn_a_kernel")

    def test_ten_steps_without_a_bias_end_near_the_kernel(self, example):
        kernel, losses = example.learn_with_torch()
        assert len(losses) == 10
        assert kernel.tolist() == [pytest.approx([1, -1], abs=0.1)]

    def test_the_loss_is_shown_every_second_step(self, example, capsys):
        example.show([5.0, 4.0, 3.0, 2.0], every=2)
        assert capsys.readouterr().out == "  step 2, loss 4\n  step 4, loss 2\n"

    def test_the_bias_makes_the_same_rate_diverge(self, example):
        _, losses = example.learn_with_conv2d(rate=example.RATE, steps=10)
        assert losses[-1] > 1e6 * losses[0]

    def test_a_rate_below_two_over_the_largest_curvature_converges(self, example):
        flattest, _, steepest = example.curvatures(example.edge_data()[0], bias=True).tolist()
        layer, _ = example.learn_with_conv2d(rate=2 / (steepest + flattest), steps=50)
        learned = [*layer.weight.flatten().tolist(), layer.bias.item()]
        assert learned == pytest.approx([1, -1, 0], abs=1e-3)

    @pytest.mark.parametrize("factor", [0.99, 1.01])
    def test_two_over_the_largest_curvature_is_where_divergence_begins(self, example, factor):
        steepest = example.curvatures(example.edge_data()[0], bias=True)[-1].item()
        _, losses = example.learn_with_conv2d(rate=factor * 2 / steepest, steps=200)
        assert (losses[-1] > losses[100]) == (factor > 1)

    def test_the_curvatures_are_those_of_the_loss_that_is_descended(self, example):
        torch = pytest.importorskip("torch")
        image, edges = (array.double() for array in example.edge_data())

        def loss(parameters):
            return ((corr2d(image, parameters[None, :2]) + parameters[2] - edges) ** 2).sum()

        hessian = torch.autograd.functional.hessian(loss, torch.zeros(3, dtype=torch.float64))
        expected = torch.linalg.eigvalsh(hessian).tolist()
        assert example.curvatures(image, bias=True).tolist() == pytest.approx(expected)


class TestSharpenAndBlur:
    def test_sharpening_raises_the_contrast_and_blurring_lowers_it(self):
        example = load("sharpen_and_blur")
        original, sharp, blurred = map(example.contrast, example.versions(example.moon()).values())
        assert sharp > original > blurred

    def test_a_plain_area_stays_as_it_is(self):
        example = load("sharpen_and_blur")
        for version in example.versions(np.full((5, 5), 0.5)).values():
            np.testing.assert_allclose(version, np.full((3, 3), 0.5), rtol=1e-15)

    def test_a_picture_is_drawn_on_request(self, tmp_path):
        pytest.importorskip("matplotlib")
        file = tmp_path / "moon.png"
        load("sharpen_and_blur").main(["--picture", str(file)])
        assert file.read_bytes().startswith(b"\x89PNG")

    def test_a_missing_matplotlib_is_said(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        with pytest.raises(SystemExit) as exited:
            load("sharpen_and_blur").main(["--picture", str(tmp_path / "moon.png")])
        assert exited.value.code == 1
        assert "--picture needs matplotlib" in capsys.readouterr().err


class TestTimeSeries:
    def test_the_moving_average_removes_the_weekly_pattern(self):
        example = load("time_series")
        np.testing.assert_allclose(example.smooth(50 + np.tile(example.WEEK, 3)), np.full(15, 50), rtol=1e-14)

    @pytest.mark.parametrize("day", [7, 24, 30])
    def test_the_jump_is_found_on_its_day(self, day):
        example = load("time_series")
        assert example.jump_day(example.visits(jump_at=day)) == day


class TestVideo:
    def test_what_stands_still_disappears(self):
        example = load("video")
        assert not example.motion(np.ones((3, 2, 2), int)).any()

    def test_the_ball_comes_in_front_and_leaves_behind(self):
        example = load("video")
        row = example.motion(example.crossing_ball())[0, 1]
        assert row.tolist() == [0, -1, 0, 1, 0, 0, 0, 0, 0]


class TestFromDenseToConvolution:
    @pytest.fixture
    def example(self):
        return load("from_dense_to_convolution")

    def test_twelve_megapixels_need_3_6_billion_weights(self, example):
        assert example.dense_parameters(example.PIXELS, example.CHANNELS, example.HIDDEN) == 3_600_000_000

    def test_the_extracted_weight_is_the_kernel_at_its_offsets(self, example):
        kernel = np.array([[1, 2], [3, 4]])
        w = example.dense_weight(lambda x: corr2d(x, kernel), 3, 4)
        offsets = example.weights_by_offset(w)
        assert w.shape == (2, 3, 3, 4)
        assert {at: weights for at, weights in offsets.items() if weights != {0}} == {
            (0, 0): {1},
            (0, 1): {2},
            (1, 0): {3},
            (1, 1): {4},
        }

    def test_the_extracted_weight_gives_what_the_layer_gives(self, example):
        image, kernel = np.arange(12).reshape(3, 4), np.array([[1, -2], [3, 5]])
        w = example.dense_weight(lambda x: corr2d(x, kernel), 3, 4)
        assert np.tensordot(w, image, axes=2).tolist() == corr2d(image, kernel).tolist()

    def test_a_weight_that_changes_with_position_is_not_translation_invariant(self, example):
        w = example.dense_weight(lambda x: x * np.array([[1, 2]]), 1, 2)
        assert not example.is_translation_invariant(w)
        assert example.is_local(w, (1, 1))

    def test_a_weight_as_large_as_the_image_is_not_local(self, example):
        w = example.dense_weight(lambda x: corr2d(x, np.ones((2, 3), int)), 2, 3)
        assert example.is_translation_invariant(w)
        assert not example.is_local(w, (2, 2))
