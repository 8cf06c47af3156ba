"""Code for mypy: what the types of the package say. It does not run."""

from pathlib import Path
from typing import List, Union

import effnet
import numpy as np
import numpy.typing as npt

classifier: effnet.Classifier = effnet.create_model("efficientnet_b0", threads=2, img_size=(224, 256))
names: List[str] = effnet.list_models("tf_*", pretrained=True)

one: List[effnet.Prediction] = classifier.classify("a.jpg")
many: List[List[effnet.Prediction]] = classifier.classify([Path("a.jpg"), Path("b.jpg")], k=3)
kept: List[Union[List[effnet.Prediction], Exception]] = classifier.classify(["a.jpg"], errors="return")
logits: npt.NDArray[np.float32] = classifier.logits(["a.jpg", "b.jpg"])
maps: List[npt.NDArray[np.float32]] = classifier.feature_maps(b"...")
pixels: npt.NDArray[np.uint8] = classifier.pixels(np.zeros((8, 8, 3), np.uint8))
for path, predictions in classifier.classify_each(Path(".").glob("*.jpg")):
    label = predictions[0].label or path.name
for _, result in classifier.embed_each(["a.jpg"], errors="return"):
    if not isinstance(result, Exception):
        mean: np.float32 = result.mean()

classifier.classify(7)  # type: ignore[call-overload]
classifier.logits("a.jpg", errors="ignore")  # type: ignore[call-overload]
effnet.create_model(threads="two")  # type: ignore[arg-type]
