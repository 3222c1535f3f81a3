"""Keras's `predict` of a network without its top on decoded pictures (n, 224, 224, 3) in an .npy: pictures a second."""

from __future__ import annotations

import numpy as np
from common import arguments, tell, threads, timed

asked = arguments(network="MobileNetV2", pictures="", rounds=2)
import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

tf.config.threading.set_intra_op_parallelism_threads(threads())
pictures = np.load(asked.pictures, allow_pickle=False)
given = keras.Input(pictures.shape[1:])
base = getattr(keras.applications, asked.network)(input_shape=pictures.shape[1:], include_top=False, weights=None)
x = base(keras.layers.Rescaling(1 / 127.5, offset=-1)(given), training=False)
model = keras.Model(given, keras.layers.GlobalAveragePooling2D()(x))
model.predict(pictures[:32], batch_size=32, verbose=0)
tell(
    rates=[
        len(pictures) / timed(lambda: model.predict(pictures, batch_size=32, verbose=0)) for _ in range(asked.rounds)
    ]
)
