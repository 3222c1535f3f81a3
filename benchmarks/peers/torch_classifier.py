"""A head on a frozen MobileNetV2 by a loop over pictures, in every epoch through the whole network.

`form` is `loop` (PyTorch's own tutorial, https://docs.pytorch.org/tutorials/beginner/transfer_learning_tutorial.html:
batches of 4, SGD), `fastai` (`vision_learner`, frozen), `fastai-blocks` (its last three blocks trained as well) or
`trainer` (Hugging Face's Trainer on timm's network). `half` is a folder with half
the pictures, by which what an epoch takes beside its pictures is told apart. With `features`, only the accuracy of the
tutorial's head on them: the frozen network gives the same in every epoch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from common import arguments, tell, threads, timed

asked = arguments(data="", half="", form="loop", features="")
import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402

torch.set_num_threads(threads())
torch.manual_seed(0)
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def folders(folder: str) -> dict[str, Any]:
    from torchvision import datasets, transforms

    ends = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    ways = {
        "train": transforms.Compose([transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), *ends]),
        "test": transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), *ends]),
    }
    return {part: datasets.ImageFolder(f"{folder}/{part}", way) for part, way in ways.items()}


def frozen() -> nn.Module:
    import timm

    network = timm.create_model("mobilenetv2_100", pretrained=False)
    for parameter in network.parameters():
        parameter.requires_grad = False
    network.classifier = nn.Linear(network.num_features, 2)
    return network


def taught(model: nn.Module, batches: Any, epochs: int) -> None:
    """The tutorial's `train_model`, training part; a generator of batches is asked for in every epoch."""
    loss, step = nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(step, step_size=7, gamma=0.1)
    for _ in range(epochs):
        model.train()
        for x, y in batches("train"):
            step.zero_grad()
            loss(model(x), y).backward()
            step.step()
        schedule.step()


def epochs(epoch: Callable[[str], float]) -> dict[str, Any]:
    """Seconds of two epochs on all pictures and of one on half of them."""
    found = [epoch(asked.data), epoch(asked.data)]
    return {"epoch_s": found, **({"half_s": epoch(asked.half)} if asked.half else {})}


def loop() -> dict[str, Any]:
    network = frozen()
    step = torch.optim.SGD(network.classifier.parameters(), lr=0.001, momentum=0.9)
    loss = nn.CrossEntropyLoss()

    def epoch(folder: str) -> float:
        data = folders(folder).items()
        loaders = {part: DataLoader(each, 4, shuffle=True, num_workers=threads()) for part, each in data}
        begun = time.perf_counter()
        for part, loader in loaders.items():
            network.train(part == "train")
            for x, y in loader:
                step.zero_grad()
                with torch.set_grad_enabled(part == "train"):
                    found = loss(network(x), y)
                    if part == "train":
                        found.backward()
                        step.step()
        return time.perf_counter() - begun

    return epochs(epoch)


def fastai(blocks: int = 0) -> dict[str, Any]:
    from fastai.vision.all import ImageDataLoaders, Resize, accuracy, vision_learner

    def data(folder: str) -> Any:
        way = {"item_tfms": Resize(224), "bs": 64, "num_workers": threads()}
        return ImageDataLoaders.from_folder(folder, train="train", valid="test", **way)

    learner = vision_learner(data(asked.data), "mobilenetv2_100", metrics=accuracy, pretrained=False)
    learner.freeze()
    if blocks:
        for parameter in learner.model[0].model.blocks[-blocks:].parameters():
            parameter.requires_grad = True

    def epoch(folder: str) -> float:
        learner.dls = data(folder)
        return timed(lambda: learner.fit_one_cycle(1))

    with learner.no_bar(), learner.no_logging():
        return epochs(epoch)


class Named(nn.Module):
    """A network in the shape that Trainer asks for."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.loss = network, nn.CrossEntropyLoss()

    def forward(self, pixel_values: torch.Tensor, labels: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        logits = self.network(pixel_values)
        return {"logits": logits} if labels is None else {"loss": self.loss(logits, labels), "logits": logits}


def trainer() -> dict[str, Any]:
    import tempfile

    from transformers import Trainer, TrainingArguments

    model = Named(frozen())

    def together(rows: list[Any]) -> dict[str, torch.Tensor]:
        return {"pixel_values": torch.stack([x for x, _ in rows]), "labels": torch.tensor([y for _, y in rows])}

    def epoch(folder: str) -> float:
        data = folders(folder)
        settings = TrainingArguments(
            place, num_train_epochs=1, per_device_train_batch_size=32, per_device_eval_batch_size=32,
            eval_strategy="epoch", save_strategy="no", report_to=[], use_cpu=True, learning_rate=1e-3,
            dataloader_num_workers=threads(), remove_unused_columns=False, disable_tqdm=True,
        )  # fmt: skip
        parts = {"train_dataset": data["train"], "eval_dataset": data["test"], "data_collator": together}
        return timed(Trainer(model, settings, **parts).train)

    with tempfile.TemporaryDirectory() as place:
        return epochs(epoch)


def accuracy_of_the_head(epochs: int = 10) -> float:
    with np.load(asked.features, allow_pickle=False) as file:
        X, y, part = torch.tensor(file["features"]), file["labels"] == file["labels"][0], file["split"]
    y = torch.tensor(y.astype(np.int64))
    rows = {name: torch.tensor(np.flatnonzero(part == name)) for name in ("train", "test")}
    top = nn.Linear(X.shape[1], 2)

    def batches(name: str) -> Any:
        for chosen in rows[name][torch.randperm(len(rows[name]))].split(4):
            yield X[chosen], y[chosen]

    taught(top, batches, epochs)
    with torch.inference_mode():
        right = top(X[rows["test"]]).argmax(1) == y[rows["test"]]
    return float(right.float().mean())


if asked.features:
    tell(accuracy=accuracy_of_the_head())
else:
    forms = {"loop": loop, "fastai": fastai, "fastai-blocks": lambda: fastai(3), "trainer": trainer}
    tell(**forms[asked.form]())
