"""Names of backbones: Keras spellings as aliases, `timm:NAME` or `torchvision:NAME` as the full form, and model pages.

Model pages write names in their own ways: `timm/NAME`, `hf-hub:ORG/NAME`, `local-dir:FOLDER`, or their address.
"""

from __future__ import annotations

import re

from headstart.paths import expanded

HUB, LOCAL = "hf-hub:", "local-dir:"
PAGES = (HUB, LOCAL)
ADDRESS = re.compile(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/(?:models/)?", re.IGNORECASE)

ALIASES: dict[str, str] = {
    "AlexNet": "torchvision:alexnet",
    "VGG16": "timm:vgg16",
    "VGG19": "timm:vgg19",
    "ResNet50": "timm:resnet50",
    "ResNet101": "timm:resnet101",
    "ResNet152": "timm:resnet152",
    "ResNet50V2": "timm:resnetv2_50",
    "ResNet101V2": "timm:resnetv2_101",
    "ResNet152V2": "timm:resnetv2_152",
    "InceptionV3": "timm:inception_v3",
    "InceptionResNetV2": "timm:inception_resnet_v2",
    "Xception": "timm:legacy_xception",
    "MobileNet": "timm:mobilenetv1_100",
    "MobileNetV2": "timm:mobilenetv2_100",
    "MobileNetV3Small": "timm:mobilenetv3_small_100",
    "MobileNetV3Large": "timm:mobilenetv3_large_100",
    "DenseNet121": "timm:densenet121",
    "DenseNet169": "timm:densenet169",
    "DenseNet201": "timm:densenet201",
    "NASNetLarge": "timm:nasnetalarge",
    # The tf_ variants are the networks that Keras has, padding included; only they have weights from B0 to B7.
    **{f"EfficientNetB{n}": f"timm:tf_efficientnet_b{n}" for n in range(8)},
    **{f"EfficientNetV2B{n}": f"timm:tf_efficientnetv2_b{n}" for n in range(4)},
    **{f"EfficientNetV2{size}": f"timm:tf_efficientnetv2_{size.lower()}" for size in "SML"},
    **{f"ConvNeXt{size}": f"timm:convnext_{size.lower()}" for size in ("Tiny", "Small", "Base", "Large", "XLarge")},
    "SqueezeNet": "torchvision:squeezenet1_0",
}
_BY_LOWER = {alias.lower(): architecture for alias, architecture in ALIASES.items()}


def pasted(name: str) -> str:
    """A name as a model page has it -> as it is used here; any other unchanged. Reads no library.

    >>> pasted("https://huggingface.co/timm/resnet18.a1_in1k/tree/main"), pasted("hf-hub:ORG/NAME")
    ('timm:resnet18.a1_in1k', 'hf-hub:ORG/NAME')
    """
    name = name.strip()
    if address := ADDRESS.match(name):
        name = HUB + "/".join(re.split(r"[/?#]", name[address.end() :])[:2])
    name = re.sub("^hf_hub:", HUB, name)
    if name.startswith(LOCAL):
        return LOCAL + str(expanded(name.removeprefix(LOCAL)).absolute())
    bare = name.removeprefix(HUB)
    return f"timm:{bare.removeprefix('timm/')}" if bare.startswith("timm/") else name


def canonical(name: str) -> str:
    """`VGG16` -> `timm:vgg16`; any other name unchanged. Reads no library."""
    return _BY_LOWER.get(name.lower(), name)


def same(name: str, architecture: str) -> bool:
    """Whether the name a user gave means `architecture`: alias, full form, or the part behind the prefix.

    `keras:NAME` is timm's network of that name as Keras has it: the names of timm's mean it too. A model page may hold
    any architecture.
    """
    if name.startswith(PAGES):
        return True
    prefix, _, bare = architecture.partition(":")
    meant = [architecture, canonical(bare)] if prefix == "keras" else [architecture]
    if ("." in name) != ("." in architecture):  # the tag of weights may be left out
        name, meant = name.partition(".")[0], [each.partition(".")[0] for each in meant]
    return any(canonical(name) in (each, each.partition(":")[2]) for each in meant)
