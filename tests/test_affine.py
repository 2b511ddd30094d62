"""The affine map that goes to oneDNN gives what ``nn.Linear`` gives."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lit_models import processor
from lit_models.networks import affine
from lit_models.networks.affine import Affine

ONEDNN = torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability() == "AVX512"


def results(layer: nn.Module, x: Tensor) -> list[Tensor]:
    """The outputs and the gradients of inputs, weight and bias."""
    x = x.detach().requires_grad_()
    outputs = layer(x)
    outputs.square().sum().backward()
    gradients = [x.grad, *(one.grad for one in layer.parameters())]
    return [outputs.detach(), *(one for one in gradients if one is not None)]


def pair(inputs: int, outputs: int, bias: bool = True) -> tuple[Affine, nn.Linear]:
    layer, usual = Affine(inputs, outputs, bias), nn.Linear(inputs, outputs, bias)
    usual.load_state_dict(layer.state_dict())
    return layer, usual


@pytest.mark.skipif(not ONEDNN, reason="without AVX-512 the usual way is taken")
@pytest.mark.parametrize("shape", [(5, 7), (3, 4, 7), (2, 3, 2, 7), (1, 7), (0, 7)])
def test_outputs_and_gradients_are_those_of_linear(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(affine, "WORTH", 0)
    monkeypatch.setattr(affine, "leaves_mkl_behind", lambda: True)
    asked = []
    monkeypatch.setattr(Tensor, "to_mkldnn", lambda x, real=Tensor.to_mkldnn: asked.append(1) or real(x))
    layer, usual = pair(7, 11)
    x = torch.randn(*shape)
    torch.testing.assert_close(results(layer, x), results(usual, x), rtol=1e-5, atol=1e-5)
    assert asked
    layer, usual = pair(7, 11, bias=False)
    turned = torch.randn(7, 6, 5).transpose(0, 2)  # not contiguous
    torch.testing.assert_close(results(layer, turned), results(usual, turned), rtol=1e-5, atol=1e-4)


@pytest.mark.skipif(not ONEDNN, reason="without AVX-512 the usual way is taken")
@pytest.mark.parametrize(
    ("vendor", "family", "expected"),
    [("AuthenticAMD", 26, True), ("AuthenticAMD", 25, False), ("GenuineIntel", 6, False), ("GenuineIntel", 26, False)],
)
def test_amd_processors_with_avx512_of_whole_width_go_to_onednn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vendor: str, family: int, expected: bool
) -> None:
    cores = [f"processor\t: {core}\nvendor_id\t: {vendor}\ncpu family\t: {family}\nmodel\t\t: 2\n" for core in (0, 1)]
    (tmp_path / "cpuinfo").write_text("\n".join(cores))
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "cpuinfo")
    assert processor.leaves_mkl_behind.__wrapped__() is expected
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "nowhere")
    assert processor.leaves_mkl_behind.__wrapped__() is False


def test_small_products_doubles_and_bfloat16_go_the_usual_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(affine, "leaves_mkl_behind", lambda: ONEDNN)
    layer, usual = pair(64, 128)
    x = torch.randn(32, 64)
    assert all(torch.equal(a, b) for a, b in zip(results(layer, x), results(usual, x), strict=True))
    monkeypatch.setattr(affine, "WORTH", 0)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(x), usual(x))
    exact, reference = copy.deepcopy(layer).double(), copy.deepcopy(usual).double()
    assert torch.equal(exact(x.double()), reference(x.double()))


def test_an_exported_graph_has_the_usual_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(affine, "WORTH", 0)
    monkeypatch.setattr(affine, "leaves_mkl_behind", lambda: ONEDNN)
    layer, usual = pair(7, 11)
    program = torch.export.export(layer, (torch.randn(4, 7),))
    assert not any("mkldnn" in str(node.target) for node in program.graph.nodes)
    x = torch.randn(4, 7)
    torch.testing.assert_close(program.module()(x), usual(x))
