"""Decoding and augmentation, against pillow and numpy by hand."""

import math
import sys
from pathlib import Path

import numpy
import pytest
import torch
from digit_images import digits, write_npz
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiny_data import QUICK

from datamodules import Augment, DataError, ImageData, progress
from datamodules.imaging.decoding import channels_of, decode

RANDOM = numpy.random.default_rng(0)
COLOUR = RANDOM.integers(0, 256, (12, 9, 3), dtype=numpy.uint8)
GREY = RANDOM.integers(0, 256, (12, 9), dtype=numpy.uint8)


@pytest.fixture
def saved(tmp_path: Path):
    def save(image: Image.Image, ending: str = "png", **kwargs) -> Path:
        image.save(tmp_path / f"a.{ending}", **kwargs)
        return tmp_path / f"a.{ending}"

    return save


# Channels


def test_colour_becomes_grey_by_its_luma_and_grey_becomes_three_equal_channels(saved) -> None:
    path = saved(Image.fromarray(COLOUR))
    assert channels_of(path) == 3
    assert numpy.array_equal(decode(path, 3, None), COLOUR.transpose(2, 0, 1))
    luma = COLOUR @ numpy.array([0.299, 0.587, 0.114])  # ITU-R 601-2
    assert numpy.abs(decode(path, 1, None)[0] - luma).max() <= 1
    path = saved(Image.fromarray(GREY))
    assert channels_of(path) == 1
    assert numpy.array_equal(decode(path, 3, None), numpy.stack([GREY] * 3))


def test_sixteen_bits_become_the_upper_eight(saved) -> None:
    values = RANDOM.integers(0, 65536, (12, 9), dtype=numpy.uint16)
    path = saved(Image.fromarray(values))
    assert channels_of(path) == 1
    assert numpy.array_equal(decode(path, 1, None)[0], values // 256)


def test_a_palette_has_its_colours(saved) -> None:
    image = Image.fromarray(GREY % 3, "P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    path = saved(image)
    assert channels_of(path) == 3
    expected = numpy.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]])[GREY % 3]
    assert numpy.array_equal(decode(path, 3, None), expected.transpose(2, 0, 1))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(saved, mode: str) -> None:
    kwargs = {}
    if mode == "P":
        image = Image.fromarray(GREY % 2, "P")
        image.putpalette([10, 20, 30, 0, 0, 0])
        kwargs, clear = {"transparency": 1}, GREY % 2 == 1
        under = numpy.broadcast_to([10, 20, 30], (12, 9, 3))
    else:
        alpha = (GREY % 2 * 255).astype(numpy.uint8)
        image = Image.merge(
            mode, [*Image.fromarray(COLOUR if mode == "RGBA" else GREY).split(), Image.fromarray(alpha)]
        )
        clear, under = alpha == 0, COLOUR if mode == "RGBA" else numpy.stack([GREY] * 3, axis=2)
    expected = numpy.where(clear[:, :, None], 255, under)
    assert numpy.array_equal(decode(saved(image, **kwargs), 3, None), expected.transpose(2, 0, 1))


def test_inks_become_light(saved) -> None:
    cyan = Image.new("CMYK", (9, 12), (255, 0, 0, 0))
    red, green, blue = decode(saved(cyan, "jpg", quality=100), 3, None)[:, 5, 5].astype(int)
    assert red < 10
    assert min(green, blue) > 245


def test_black_and_white_is_0_and_255(saved) -> None:
    assert set(decode(saved(Image.fromarray(GREY > 100)), 1, None).flat) == {0, 255}


def test_floating_point_pixels_are_refused(saved) -> None:
    with pytest.raises(DataError, match=r"a\.tif cannot be decoded: it has floating-point pixels; save it with 8 bits"):
        decode(saved(Image.fromarray(GREY.astype(numpy.float32)), "tif"), 1, None)


def test_a_program_in_a_picture_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "a.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nquit\n")
    with pytest.raises(DataError, match=r"a\.eps is no image of a format that is read"):
        decode(tmp_path / "a.eps", 1, None)


# Orientation and size


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda x: x),
        (2, lambda x: x[:, ::-1]),
        (3, lambda x: x[::-1, ::-1]),
        (4, lambda x: x[::-1]),
        (5, lambda x: x.T),
        (6, lambda x: numpy.rot90(x, -1)),
        (7, lambda x: x[::-1, ::-1].T),
        (8, lambda x: numpy.rot90(x)),
    ],
)
def test_images_are_turned_upright(saved, orientation: int, upright) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(Image.fromarray(GREY), exif=exif)
    assert numpy.array_equal(decode(path, 1, None)[0], upright(GREY))


@pytest.mark.parametrize("size", [(6, 4), (24, 18), (5, 20)])
def test_resizing_is_pillows(saved, size: tuple[int, int]) -> None:
    path = saved(Image.fromarray(COLOUR))
    height, width = size
    expected = Image.fromarray(COLOUR).resize((width, height), Image.Resampling.BILINEAR)
    assert numpy.array_equal(decode(path, 3, size), numpy.asarray(expected).transpose(2, 0, 1))


def test_halving_covers_every_pixel(saved) -> None:
    """A triangle of twice the width: 1/8, 3/8, 3/8, 1/8 inside."""
    row = numpy.array([[0, 0, 0, 80, 0, 0, 0, 0]], dtype=numpy.uint8)
    path = saved(Image.fromarray(row.repeat(8, axis=0)))
    assert decode(path, 1, (4, 4))[0, 1].tolist() == [0, 30, 10, 0]


def test_arrays_are_resized_and_coloured_like_files(tmp_path: Path) -> None:
    x, y = digits()
    data = ImageData(write_npz(tmp_path / "a.npz", x, y), size=(5, 6), channels=3)
    assert data.input_shape == (3, 5, 6)
    expected = numpy.asarray(Image.fromarray(x[7]).resize((6, 5), Image.Resampling.BILINEAR))
    assert all(numpy.array_equal(channel, expected) for channel in data.rows.x[7].numpy())


# Augmentation


def by_hand(image: numpy.ndarray, u: list[float], augment: Augment) -> numpy.ndarray:
    """One image (C, H, W), one step after another."""
    changed = image[:, :, ::-1] if u[0] < augment.flip else image
    if augment.crop:
        _, height, width = image.shape
        wide = numpy.pad(changed, [(0, 0), (augment.crop,) * 2, (augment.crop,) * 2])
        down, right = (math.floor(v * (2 * augment.crop + 1)) for v in u[1:3])
        changed = wide[:, down : down + height, right : right + width]
    if augment.jitter:
        changed = changed * (1 - augment.jitter + 2 * augment.jitter * u[3])
        factor = 1 - augment.jitter + 2 * augment.jitter * u[4]
        changed = (changed.mean() + (changed - changed.mean()) * factor).clip(0, 255)
    if augment.erase and u[5] < augment.erase:
        _, height, width = image.shape
        area, ratio = height * width * (0.02 + 0.38 * u[6]), 0.3 * (1 / 0.09) ** u[7]
        tall, wide = (
            min(max(round(side), 1), most)
            for side, most in ((math.sqrt(area * ratio), height), (math.sqrt(area / ratio), width))
        )
        top, left = math.floor(u[8] * (height - tall + 1)), math.floor(u[9] * (width - wide + 1))
        changed = changed.copy()
        changed[:, top : top + tall, left : left + wide] = math.floor(256 * u[10])
    return changed


@QUICK
@given(
    st.floats(0, 1, width=32),
    st.integers(0, 7),
    st.floats(0, 1, width=32),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.integers(0, 10**6),
    st.sampled_from([(1, 6, 5), (3, 4, 7)]),
)
def test_a_batch_is_changed_as_each_image_by_hand(
    flip: float, crop: int, jitter: float, erase: float, seed: int, shape: tuple[int, ...]
) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 256, (4, *shape), dtype=torch.uint8, generator=generator)
    augment, before = Augment(flip, crop, jitter, erase), x.clone()
    uniform = torch.rand(4, max(5, augment.draws), generator=generator)
    changed = augment(x, uniform)
    assert changed.shape == x.shape
    assert torch.equal(x, before)
    for image, one, u in zip(x.numpy(), changed.numpy(), uniform.tolist(), strict=True):
        assert one == pytest.approx(by_hand(image.astype(float), u, augment), abs=0.01)


def augmented(tmp_path: Path, **kwargs) -> ImageData:
    x, y = digits()
    data = ImageData(write_npz(tmp_path / "a.npz", x, y), batch_size=20, augment=Augment(0.5, 2, 0.3, 0.5), **kwargs)
    data.setup("fit")
    return data


def test_only_training_batches_are_changed(tmp_path: Path) -> None:
    data = augmented(tmp_path)
    plain = {int(row): x for part in ("train", "val", "test") for row, x in zip(*rows_and_x(data, part), strict=True)}
    for name in ("val", "test"):
        for batch in getattr(data, f"{name}_dataloader")():
            assert torch.equal(batch["x"], torch.stack([plain[int(row)] for row in batch["row"]]))
    batch = next(iter(data.train_dataloader()))
    same = [torch.equal(x, plain[int(row)]) for row, x in zip(batch["row"], batch["x"], strict=True)]
    assert not any(same)


def rows_and_x(data: ImageData, part: str) -> tuple[torch.Tensor, torch.Tensor]:
    rows = data.part(part)
    return rows["row"], rows["x"]


def test_a_resumed_epoch_draws_the_same(tmp_path: Path) -> None:
    data = augmented(tmp_path)
    torch.manual_seed(3)
    whole, cut, resumed = (data.train_dataloader() for _ in range(3))
    for loader in (whole, cut):
        loader.set_epoch(2)
    batches = [batch["x"] for batch in whole]
    walk = iter(cut)
    for _ in range(3):
        next(walk)
    resumed.load_state_dict(cut.state_dict())
    assert all(map(torch.equal, batches[3:], (batch["x"] for batch in resumed)))
    assert not torch.equal(batches[0], next(iter(data.train_dataloader()))["x"])  # another epoch draws others


def test_several_devices_draw_what_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = augmented(tmp_path)
    torch.manual_seed(3)

    def epoch(world_size: int) -> dict[int, torch.Tensor]:
        drawn = {}
        for rank in range(world_size):
            monkeypatch.setattr(
                "datamodules.loading.global_batch.process_of", lambda trainer, rank=rank: (rank, world_size)
            )
            for batch in data.train_dataloader():
                drawn |= dict(zip(batch["row"].tolist(), batch["x"], strict=True))
        return drawn

    one, two = epoch(1), epoch(2)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[row], two[row]) for row in one)


@pytest.mark.parametrize("wrong", [{"flip": 1.1}, {"flip": float("nan")}, {"crop": -1}, {"jitter": -0.1}, {"erase": 2}])
def test_augmentations_that_make_no_sense_are_refused(wrong: dict) -> None:
    with pytest.raises(DataError, match=r"--data\.augment: flip, jitter and erase are in"):
        Augment(**wrong)


def test_erased_rectangles_have_the_area_and_the_level_that_is_said() -> None:
    x = torch.full((4000, 1, 28, 28), 300, dtype=torch.int16)  # a level that no erased rectangle has
    augment = Augment(erase=0.5)
    changed = augment(x, torch.rand(len(x), augment.draws, generator=torch.Generator().manual_seed(0)))
    area = (changed != 300).float().mean(dim=(1, 2, 3))
    erased = area > 0
    assert float(erased.float().mean()) == pytest.approx(0.5, abs=0.03)
    assert float(area[erased].min()) > 0.01
    assert 0.36 < float(area[erased].max()) < 0.45
    assert all(len(image.unique()) <= 2 for image in changed)


# Progress


def test_progress_is_for_a_person_who_waits(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    clock = iter(range(100))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    assert list(progress.progress(range(6), "reading images", 11, lambda _: 2)) == list(range(6))
    assert capsys.readouterr().err == ""  # it is no terminal
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert list(progress.progress(range(6), "reading images", 11, lambda _: 2)) == list(range(6))
    lines = capsys.readouterr().err.split("\r")
    assert lines[1:5] == [f"reading images: {done} of 11" for done in (6, 8, 10, 11)]
    monkeypatch.setattr(progress.time, "monotonic", lambda: 0.0)
    assert list(progress.progress(range(6), "reading images", 11, lambda _: 2)) == list(range(6))
    assert capsys.readouterr().err == ""  # it took no time
