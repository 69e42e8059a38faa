"""A model with tapped layers is saved, loaded and exported, and stays the same function."""

import json
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from laya_nb.backbones import HiddenStates
from laya_nb.heads import DepthClassifier, LAYAHead

TOLERANCE = 1e-5  # of float32 logits and attention of size one: other kernels round otherwise
SHAPES = {"x": {0: Dim("batch")}}  # a batch of any size


class Digits(DepthClassifier, PyTorchModelHubMixin):
    """A reader's model: convolutions, batch statistics, activations in place, and numbers to make it anew from."""

    def __init__(self, width: int = 4, temperature: float = 1.0) -> None:
        first = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        net = nn.Sequential(first, nn.Conv2d(width, 2 * width, 3, stride=2), nn.ReLU(inplace=True), nn.Flatten())
        backbone = HiddenStates(net, ["0", "1", "3"], example=torch.zeros(1, 1, 8, 8))
        super().__init__(backbone, LAYAHead(backbone.out_dims, num_classes=3, d_star=8, temperature=temperature))


class Plain(nn.Module):
    """The outputs as a plain tuple: a saved program knows no class of this package."""

    def __init__(self, model: DepthClassifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.model(x))


x = torch.rand(7, 1, 8, 8, generator=torch.Generator().manual_seed(0))
example = x[:2]  # so the batch is not the one that models are exported with


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    model = Digits(width=5, temperature=2.5)
    model(x)  # batch statistics of its own
    return model.eval()


@pytest.fixture(scope="module")
def program(model: Digits) -> ExportedProgram:
    return torch.export.export(Plain(model), (example,), dynamic_shapes=SHAPES)


def test_saved_and_loaded_it_is_the_same_to_the_bit(model: Any, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"README.md", "config.json", "model.safetensors"}
    assert json.loads((tmp_path / "config.json").read_text()) == {"width": 5, "temperature": 2.5}
    loaded = Digits.from_pretrained(tmp_path, strict=True)
    assert not loaded.training
    for found, expected in zip(loaded(x), model(x), strict=True):
        assert torch.equal(found, expected)


def test_the_exported_program_gives_the_same(model: Any, program: ExportedProgram, tmp_path: Path) -> None:
    torch.export.save(program, tmp_path / "model.pt2")
    for exported in (program, torch.export.load(tmp_path / "model.pt2")):
        for found, expected in zip(exported.module()(x), model(x), strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE)


def test_the_onnx_file_gives_the_same(model: Any, program: ExportedProgram, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    names: dict[str, Any] = {
        "input_names": ["x"],
        "output_names": ["logits", "attention", "scores"],
        "dynamic_shapes": SHAPES,
    }
    torch.onnx.export(program, f=file, dynamo=True, external_data=False, verbose=False, **names)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    session = onnxruntime.InferenceSession(file)
    assert [(put.name, put.shape) for put in session.get_outputs()] == [
        ("logits", ["batch", 3]),
        ("attention", ["batch", 3]),
        ("scores", ["batch", 3]),
    ]
    for found, expected in zip(session.run(None, {"x": x.numpy()}), model(x), strict=True):
        torch.testing.assert_close(torch.from_numpy(found), expected, rtol=0, atol=TOLERANCE)
