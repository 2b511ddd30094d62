"""The affine map that goes to oneDNN gives what ``nn.Linear`` gives."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lit_models.cpu import affine, cpu_features
from lit_models.cpu.affine import Affine
from lit_models.internals import torch_parts

ONEDNN = torch.backends.mkldnn.is_available()


def results(layer: nn.Module, x: Tensor) -> list[Tensor]:
    """The outputs and the gradients of inputs, weight and bias."""
    x = x.detach().requires_grad_()
    outputs = layer(x)
    outputs.square().sum().backward()
    gradients = [x.grad, *(one.grad for one in layer.parameters())]
    return [outputs.detach(), *(one for one in gradients if one is not None)]


def go_to_onednn(monkeypatch: pytest.MonkeyPatch, bits: int) -> list[int]:
    """As on such a processor, whatever is multiplied; gives a list that grows with each product."""
    calls: list[int] = []
    monkeypatch.setattr(affine, "MIN_PRODUCTS", 0)
    monkeypatch.setattr(affine, "amd_avx512_bits", lambda: bits)
    monkeypatch.setattr(torch_parts, "linear", lambda *all_, real=torch_parts.linear: calls.append(1) or real(*all_))
    return calls


def pair(inputs: int, outputs: int, bias: bool = True) -> tuple[Affine, nn.Linear]:
    layer, usual = Affine(inputs, outputs, bias), nn.Linear(inputs, outputs, bias)
    usual.load_state_dict(layer.state_dict())
    return layer, usual


@pytest.mark.skipif(not ONEDNN, reason="this torch has no oneDNN")
@pytest.mark.parametrize("bits", [256, 512])
@pytest.mark.parametrize("shape", [(5, 7), (3, 4, 7), (2, 3, 2, 7), (1, 7), (7,)])
def test_outputs_and_gradients_are_those_of_linear(
    bits: int, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = go_to_onednn(monkeypatch, bits)
    layer, usual = pair(7, 11)
    x = torch.randn(*shape)
    torch.testing.assert_close(results(layer, x), results(usual, x), rtol=1e-5, atol=1e-5)
    assert len(calls) == (3 if bits == 512 else 2)
    layer, usual = pair(7, 11, bias=False)
    turned = torch.randn(7, 6, 5).transpose(0, 2)  # not contiguous
    torch.testing.assert_close(results(layer, turned), results(usual, turned), rtol=1e-5, atol=1e-4)


@pytest.mark.skipif(not ONEDNN, reason="this torch has no oneDNN")
def test_nothing_is_computed_for_what_is_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = go_to_onednn(monkeypatch, 512)
    layer, x = Affine(7, 11).requires_grad_(False), torch.randn(5, 7, requires_grad=True)
    layer(x).sum().backward()
    torch.testing.assert_close(x.grad, layer.weight.sum(dim=0).expand(5, 7))
    assert len(calls) == 2
    layer.requires_grad_(True)
    layer(x.detach()).sum().backward()
    assert len(calls) == 4
    with torch.no_grad():
        torch.testing.assert_close(layer(x), nn.functional.linear(x, layer.weight, layer.bias))


@pytest.mark.skipif(not ONEDNN, reason="this torch has no oneDNN")
@pytest.mark.parametrize("bits", [256, 512])
@pytest.mark.parametrize("power", [1, 2])
def test_second_derivatives_are_those_of_linear(bits: int, power: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a gradient penalty takes them."""
    calls = go_to_onednn(monkeypatch, bits)
    layer, usual = pair(7, 11)
    x = torch.randn(5, 7, requires_grad=True)
    for one in (layer, usual):
        value = one(x).pow(power).sum()
        (gradient,) = torch.autograd.grad(value, x, create_graph=True)
        (gradient.square().sum() + one(x).sum()).backward()
    torch.testing.assert_close(layer.weight.grad, usual.weight.grad)
    torch.testing.assert_close(layer.bias.grad, usual.bias.grad)
    assert calls


@pytest.mark.skipif(not ONEDNN, reason="this torch has no oneDNN")
def test_a_bias_may_be_a_view_with_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    go_to_onednn(monkeypatch, 256)
    layer, usual = pair(7, 11)
    for bias in (torch.randn(22)[::2], torch.randn(1).expand(11)):
        layer.bias.data, usual.bias.data = bias, bias.clone()
        x = torch.randn(5, 7)
        torch.testing.assert_close(layer(x), usual(x))


@pytest.mark.skipif(not ONEDNN, reason="this torch has no oneDNN")
@pytest.mark.parametrize("shape", [(5, 7), (3, 4, 7)])
def test_what_it_gives_may_be_written_into(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """As by the ReLU of an MLP without norms."""
    go_to_onednn(monkeypatch, 512)
    layer, usual = pair(7, 11)
    x = torch.randn(*shape)
    nets = [nn.Sequential(one, nn.ReLU(inplace=True), nn.Linear(11, 2).requires_grad_(False)) for one in (layer, usual)]
    nets[1][2].load_state_dict(nets[0][2].state_dict())
    first, second = (results(net, x) for net in nets)
    torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(not ONEDNN, reason="this torch has no oneDNN")
def test_functional_transforms_go_the_usual_way(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = go_to_onednn(monkeypatch, 256)
    layer, _ = pair(7, 11)
    slope = torch.func.vmap(torch.func.grad(lambda row: layer(row).sum()))(torch.randn(5, 7))
    torch.testing.assert_close(slope, layer.weight.sum(dim=0).expand(5, 7))
    assert not calls


@pytest.mark.skipif(not ONEDNN, reason="this torch has no oneDNN")
@pytest.mark.parametrize(
    ("vendor", "family", "bits"),
    [("AuthenticAMD", 26, 512), ("AuthenticAMD", 25, 256), ("GenuineIntel", 6, 0), ("GenuineIntel", 26, 0)],
)
def test_amd_processors_with_avx512_go_to_onednn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vendor: str, family: int, bits: int
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    cores = [f"processor\t: {core}\nvendor_id\t: {vendor}\ncpu family\t: {family}\nmodel\t\t: 2\n" for core in (0, 1)]
    (tmp_path / "cpuinfo").write_text("\n".join(cores))
    monkeypatch.setattr(cpu_features, "CPUINFO", tmp_path / "cpuinfo")
    assert cpu_features.amd_avx512_bits.__wrapped__() == bits
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert cpu_features.amd_avx512_bits.__wrapped__() == 0
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(cpu_features, "CPUINFO", tmp_path / "nowhere")
    assert cpu_features.amd_avx512_bits.__wrapped__() == 0


def test_small_products_doubles_and_bfloat16_go_the_usual_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(affine, "amd_avx512_bits", lambda: 512)
    layer, usual = pair(64, 128)
    for rows in (0, 32):
        x = torch.randn(rows, 64)
        assert all(torch.equal(a, b) for a, b in zip(results(layer, x), results(usual, x), strict=True))
    monkeypatch.setattr(affine, "MIN_PRODUCTS", 0)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(x), usual(x))
    exact, reference = copy.deepcopy(layer).double(), copy.deepcopy(usual).double()
    assert torch.equal(exact(x.double()), reference(x.double()))


def test_a_torch_without_the_operator_goes_the_usual_way(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = go_to_onednn(monkeypatch, 512)
    monkeypatch.setattr(torch_parts, "HAS_LINEAR", False)
    layer, usual = pair(7, 11)
    x = torch.randn(5, 7)
    assert torch.equal(layer(x), usual(x))
    assert not calls


def test_an_exported_graph_has_the_usual_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(affine, "MIN_PRODUCTS", 0)
    monkeypatch.setattr(affine, "amd_avx512_bits", lambda: 512)
    layer, usual = pair(7, 11)
    program = torch.export.export(layer, (torch.randn(4, 7),))
    assert not any("mkldnn" in str(node.target) for node in program.graph.nodes)
    x = torch.randn(4, 7)
    torch.testing.assert_close(program.module()(x), usual(x))
