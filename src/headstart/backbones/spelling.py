"""How a backbone is written on one line, for commands that take several: `NAME[:LAYER][@WEIGHTS]`.

sprout                                  its own weights, the layer its authors probe with
sprout@none                             random weights
mobilenetv2_100:last_conv@FILE          a layer, and a weights file
timm:resnet18                           a name with its source
hf-hub:ORG/NAME                         a model page, as its address does
networks/own.onnx                       an ONNX file; `own.onnx@networks/own.onnx` means the same
"""

from __future__ import annotations

from pathlib import Path

from headstart.backbones.encoders import usual_layer
from headstart.backbones.names import PAGES, pasted
from headstart.backbones.sources import SOURCES
from headstart.backbones.weights_files import KINDS
from headstart.errors import HeadstartError, Offline, UnknownName, UserError
from headstart.paths import expanded

FORM = "NAME[:LAYER][@WEIGHTS]"
Spelled = dict[str, str]
"""`name`, `weights` and `layer`, as the section `backbone` of a recipe has them."""


def parse(text: str) -> Spelled:
    """One backbone as a recipe has it; files become absolute paths, and what is left out gets the recipe's default.

    Looks at no library, so an unknown name of a network is found by `resolve`. Raises UserError, UnknownName.
    """
    text = text.strip()
    name, at, weights = (text, "", "") if _is_file(text) else text.partition("@")
    name, layer = _layer(pasted(name), text)
    if at and not weights.strip():
        raise UserError(f"The backbone '{text}' names no weights after its @; write {FORM}.")
    if name.lower().endswith(".onnx"):
        return {"name": _onnx(name, weights.strip(), text), "weights": "pretrained", "layer": layer}
    return {"name": name, "weights": _weights(weights.strip() or "pretrained", text), "layer": layer}


def parse_list(text: str) -> list[Spelled]:
    """Several backbones with commas between them. Raises as `parse` does, and UserError for an empty list."""
    found = [parse(each) for each in text.split(",") if each.strip()]
    if not found:
        raise UserError(f"No backbone was named; write {FORM}, with commas between several.")
    return found


def spell(found: Spelled) -> str:
    """The text that `parse` reads back."""
    layer = "" if _usual(found) else f":{found['layer']}"
    weights = "" if found["weights"] == "pretrained" else f"@{found['weights']}"
    return f"{found['name']}{layer}{weights}"


def unloaded(name: str, error: HeadstartError) -> str:
    """Why the network `name` could not be had, in the terms of a command that takes several."""
    if not isinstance(error, Offline):
        return str(error)
    return (
        f"The weights of {name} are not on this machine and could not be downloaded; use sprout, which comes with "
        f"Headstart, or {name}@FILE for a weights file."
    )


def short(found: Spelled) -> str:
    """A name for tables and charts: without source and folders, and with the weights only where they say more."""
    name = Path(found["name"]).stem if found["name"].lower().endswith(".onnx") else found["name"].rpartition(":")[2]
    layer = "" if _usual(found) else f":{found['layer']}"
    weights = found["weights"] if found["weights"] in KINDS else Path(found["weights"]).stem
    return f"{name}{layer}{'' if weights in ('pretrained', name) else f'@{weights}'}"


def _usual(found: Spelled) -> bool:
    """Whether the layer is that which a network is read at when none is named."""
    if found["layer"] == "auto" or found["name"].startswith(PAGES):
        return found["layer"] == "auto"
    return found["layer"] == usual_layer(f"timm:{found['name'].rpartition(':')[2]}")


def _layer(name: str, text: str) -> tuple[str, str]:
    """`timm:resnet18:layer3` -> (`timm:resnet18`, `layer3`); the layer is `auto` when none is named."""
    source = next((p for p in (*(f"{each}:" for each in (*SOURCES, "onnx")), *PAGES) if name.startswith(p)), "")
    name = name.removeprefix(source)
    drive = name[:2] if name[1:3] in (":\\", ":/") else ""  # C:\networks\own.onnx
    bare, colon, layer = name.removeprefix(drive).partition(":")
    if not bare:
        raise UserError(f"The backbone '{text}' has no name; write {FORM}.")
    if colon and not layer:
        raise UserError(f"The backbone '{text}' names no layer after its colon; write {FORM}.")
    return f"{source}{drive}{bare}", layer or "auto"


def _onnx(name: str, weights: str, text: str) -> str:
    """The absolute path of the ONNX file, which is behind the @ where there is one."""
    if weights and not weights.lower().endswith(".onnx"):
        raise UserError(f"The backbone '{text}' is an ONNX file, which holds its own weights; leave @{weights} out.")
    path = expanded(weights or name.removeprefix("onnx:"))
    if not path.is_file():
        raise UserError(f"The backbone '{text}': there is no file {path}.")
    return str(path.resolve())


def _weights(weights: str, text: str) -> str:
    if weights in KINDS:
        return weights
    path = expanded(weights)
    if path.suffix.lower() == ".onnx":
        raise UserError(f"The backbone '{text}': an ONNX file is a whole network; write {path} alone.")
    if path.is_file() or path.is_dir():
        return str(path.resolve())
    if path.suffix or len(path.parts) > 1:
        raise UserError(f"The backbone '{text}': there is no weights file {path}.")
    raise UnknownName("weights", weights, KINDS, hint=f"(in '{text}'; or a file: .safetensors, .pth, .pt, .h5, .keras)")


def _is_file(text: str) -> bool:
    """An ONNX file whose path holds an @ of its own."""
    return text.lower().endswith(".onnx") and expanded(text).is_file()
