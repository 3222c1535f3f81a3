"""Keras's transfer-learning guide on a folder of pictures, as written or with features predicted once.

https://keras.io/guides/transfer_learning/ with MobileNetV2 in place of Xception. `form` is `guide` (the frozen network
runs in every epoch, with its augmentation), `once` (predicted once, then a dense layer), or `appliance` (once, width
0.35, a hidden layer of 128). Weights are random: they change no time. `half` is a folder with half the pictures, by
which what an epoch takes beside its pictures is told apart; `full` the pictures of a part in the whole.
"""

from __future__ import annotations

import numpy as np
from common import arguments, tell, threads, timed

asked = arguments(data="", half="", form="guide", full=2000, features="")
import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

tf.config.threading.set_intra_op_parallelism_threads(threads())
keras.utils.set_random_seed(0)
SIDE = (224, 224)


def pictures(part: str, folder: str) -> tf.data.Dataset:
    found = keras.utils.image_dataset_from_directory(
        f"{folder}/{part}", label_mode="binary", image_size=SIDE, batch_size=32, shuffle=part == "train"
    )
    return found.prefetch(tf.data.AUTOTUNE)


def network(alpha: float = 1.0) -> keras.Model:
    base = keras.applications.MobileNetV2(input_shape=(*SIDE, 3), alpha=alpha, include_top=False, weights=None)
    base.trainable = False
    return base


def compiled(model: keras.Model) -> keras.Model:
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True), metrics=["accuracy"])
    return model


def guide() -> dict[str, object]:
    base, given = network(), keras.Input((*SIDE, 3))
    x = keras.layers.RandomRotation(0.1)(keras.layers.RandomFlip("horizontal")(given))
    x = base(keras.layers.Rescaling(1 / 127.5, offset=-1)(x), training=False)
    x = keras.layers.Dropout(0.2)(keras.layers.GlobalAveragePooling2D()(x))
    model = compiled(keras.Model(given, keras.layers.Dense(1)(x)))

    def epoch(folder: str) -> float:
        train, test = pictures("train", folder), pictures("test", folder)
        return timed(lambda: model.fit(train, validation_data=test, verbose=0))

    return {"epoch_s": [epoch(asked.data), epoch(asked.data)], "half_s": epoch(asked.half)}


def once(alpha: float, hidden: int, epochs: int) -> dict[str, object]:
    given = keras.Input((*SIDE, 3))
    x = network(alpha)(keras.layers.Rescaling(1 / 127.5, offset=-1)(given), training=False)
    base = keras.Model(given, keras.layers.GlobalAveragePooling2D()(x))
    base.predict(np.zeros((32, *SIDE, 3), np.float32), verbose=0)  # builds the graph
    found = {}

    def predict() -> None:
        for part in ("train", "test"):
            data = keras.utils.image_dataset_from_directory(
                f"{asked.data}/{part}",
                label_mode="binary",
                image_size=SIDE,
                batch_size=32,
                shuffle=False,
                verbose=False,
            )
            labels = np.concatenate([y for _, y in data])
            found[part] = base.predict(data.prefetch(tf.data.AUTOTUNE), verbose=0), labels

    once_s = timed(predict)
    layers = [keras.layers.Dense(hidden, activation="relu")] if hidden else [keras.layers.Dropout(0.2)]
    top = compiled(keras.Sequential([*layers, keras.layers.Dense(1)]))
    for part, (X, y) in found.items():  # as many rows as of all pictures
        times = -(-asked.full // len(y))
        found[part] = np.tile(X, (times, 1))[: asked.full], np.tile(y, (times, 1))[: asked.full]
    epochs_s = [
        timed(lambda: top.fit(*found["train"], validation_data=found["test"], verbose=0)) for _ in range(epochs)
    ]
    return {"once_s": once_s, "learning_s": sum(epochs_s)}


def accuracy(epochs: int) -> float:
    """Of the guide's top on the same network's features, which the frozen network gives in every epoch."""
    with np.load(asked.features, allow_pickle=False) as file:
        X, y, part = file["features"], file["labels"] == file["labels"][0], file["split"]
    top = compiled(keras.Sequential([keras.layers.Dropout(0.2), keras.layers.Dense(1)]))
    top.fit(X[part == "train"], y[part == "train"], epochs=epochs, verbose=0)
    right = (top.predict(X[part == "test"], verbose=0)[:, 0] > 0) == y[part == "test"]
    return float(right.mean())


if asked.features:
    tell(accuracy=accuracy(10))
elif asked.form == "guide":
    tell(**guide())
else:
    tell(**once(0.35, 128, 50) if asked.form == "appliance" else once(1.0, 0, 10))
