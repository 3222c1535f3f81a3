"""A head on a frozen MobileNetV2 by a loop over pictures, in every epoch through the whole network.

`form` is `loop` (PyTorch's own tutorial, https://docs.pytorch.org/tutorials/beginner/transfer_learning_tutorial.html:
batches of 4, SGD), `fastai` (`vision_learner`, frozen), `fastai-blocks` (its last three blocks trained as well) or
`trainer` (Hugging Face's Trainer on timm's network).
With `features`, only the accuracy of the tutorial's head on them: the frozen network gives the same in every epoch.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from common import arguments, tell, threads, timed

asked = arguments(data="", form="loop", epochs=2, features="")
import torch  # noqa: E402
from torch import nn  # noqa: E402

torch.set_num_threads(threads())
torch.manual_seed(0)
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def folders() -> dict[str, Any]:
    from torchvision import datasets, transforms

    ends = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    ways = {
        "train": transforms.Compose([transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), *ends]),
        "test": transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), *ends]),
    }
    return {part: datasets.ImageFolder(f"{asked.data}/{part}", way) for part, way in ways.items()}


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


def loop() -> dict[str, Any]:
    network, data, seconds = frozen(), folders(), []
    loaders = {
        part: torch.utils.data.DataLoader(each, 4, shuffle=True, num_workers=threads()) for part, each in data.items()
    }
    top = network.classifier
    step = torch.optim.SGD(top.parameters(), lr=0.001, momentum=0.9)
    loss = nn.CrossEntropyLoss()
    for _ in range(asked.epochs):
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
        seconds.append(time.perf_counter() - begun)
    return {"epoch_s": seconds}


def fastai(blocks: int = 0) -> dict[str, Any]:
    from fastai.vision.all import ImageDataLoaders, Resize, accuracy, vision_learner

    data = ImageDataLoaders.from_folder(
        asked.data, train="train", valid="test", item_tfms=Resize(224), bs=64, num_workers=threads()
    )
    learner = vision_learner(data, "mobilenetv2_100", metrics=accuracy, pretrained=False)
    learner.freeze()
    if blocks:
        for parameter in learner.model[0].model.blocks[-blocks:].parameters():
            parameter.requires_grad = True
    epochs = []
    with learner.no_bar(), learner.no_logging():
        for _ in range(asked.epochs):
            epochs.append(timed(lambda: learner.fit_one_cycle(1)))
    return {"epoch_s": epochs}


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

    from transformers import Trainer, TrainerCallback, TrainingArguments

    begun: list[float] = []

    class Clock(TrainerCallback):
        def on_epoch_begin(self, *_: Any, **__: Any) -> None:
            begun.append(time.perf_counter())

    data = folders()
    with tempfile.TemporaryDirectory() as place:
        settings = TrainingArguments(
            place, num_train_epochs=asked.epochs, per_device_train_batch_size=32, per_device_eval_batch_size=32,
            eval_strategy="epoch", save_strategy="no", report_to=[], use_cpu=True, learning_rate=1e-3,
            dataloader_num_workers=threads(), remove_unused_columns=False, disable_tqdm=True,
        )  # fmt: skip

        def together(rows: list[Any]) -> dict[str, torch.Tensor]:
            return {"pixel_values": torch.stack([x for x, _ in rows]), "labels": torch.tensor([y for _, y in rows])}

        run = Trainer(
            Named(frozen()), settings, train_dataset=data["train"], eval_dataset=data["test"], data_collator=together,
            callbacks=[Clock()],
        )  # fmt: skip
        run.train()
        begun.append(time.perf_counter())
    return {"epoch_s": list(np.diff(begun))}


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
