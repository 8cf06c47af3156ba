"""EfficientNet-family image classification with timm's names and timm's answers.

>>> import effnet
>>> classifier = effnet.create_model()  # the weights inside the package
>>> classifier.classify("coffee.png")[0].label
'espresso'
"""

from ._effnet import VERSION as __version__
from ._effnet import Classifier, Results
from ._errors import DeviceError, EffnetError, HubError, ImageError, ModelError, UnknownModelError
from ._models import create_model, list_models
from ._prediction import Prediction

__all__ = [
    "Classifier",
    "DeviceError",
    "EffnetError",
    "HubError",
    "ImageError",
    "ModelError",
    "Prediction",
    "Results",
    "UnknownModelError",
    "__version__",
    "create_model",
    "list_models",
]
