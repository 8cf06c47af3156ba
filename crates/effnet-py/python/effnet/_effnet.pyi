from os import PathLike
from typing import (
    Any,
    Dict,
    Final,
    Iterable,
    Iterator,
    List,
    Literal,
    Optional,
    Tuple,
    TypeVar,
    Union,
    final,
    overload,
)

import numpy as np
import numpy.typing as npt
from PIL.Image import Image as PilImage

from ._prediction import Prediction

__all__ = ["Classifier", "Results", "VERSION", "command", "load", "models"]

VERSION: Final[str]

_Floats = npt.NDArray[np.float32]
_Bytes = npt.NDArray[np.uint8]
# One image: a path, the bytes of a file, one of Pillow's images, or an array of uint8 with the shape
# (height, width) or (height, width, channels).
_Image = Union[str, "PathLike[str]", bytes, bytearray, memoryview, PilImage, _Bytes]
_AnyImage = TypeVar("_AnyImage", bound=_Image)
_Result = TypeVar("_Result", covariant=True)

@final
class Results(Iterator[Tuple[_AnyImage, _Result]]):
    def __iter__(self) -> Results[_AnyImage, _Result]: ...
    def __next__(self) -> Tuple[_AnyImage, _Result]: ...

@final
class Classifier:
    # For type checkers, an array is one image: give four dimensions as `list(array)`.
    @overload
    def classify(  # type: ignore[overload-overlap]
        self, images: _Image, k: int = 5, *, batch_size: int = 8, errors: Literal["raise"] = "raise"
    ) -> List[Prediction]: ...
    @overload
    def classify(
        self, images: Iterable[_Image], k: int = 5, *, batch_size: int = 8, errors: Literal["raise"] = "raise"
    ) -> List[List[Prediction]]: ...
    @overload
    def classify(  # type: ignore[overload-overlap]
        self, images: _Image, k: int = 5, *, batch_size: int = 8, errors: Literal["return"]
    ) -> Union[List[Prediction], Exception]: ...
    @overload
    def classify(
        self, images: Iterable[_Image], k: int = 5, *, batch_size: int = 8, errors: Literal["return"]
    ) -> List[Union[List[Prediction], Exception]]: ...
    @overload
    def probabilities(  # type: ignore[overload-overlap]
        self, images: _Image, *, batch_size: int = 8, errors: Literal["raise"] = "raise"
    ) -> _Floats: ...
    @overload
    def probabilities(
        self, images: Iterable[_Image], *, batch_size: int = 8, errors: Literal["raise"] = "raise"
    ) -> _Floats: ...
    @overload
    def probabilities(  # type: ignore[overload-overlap]
        self, images: _Image, *, batch_size: int = 8, errors: Literal["return"]
    ) -> Union[_Floats, Exception]: ...
    @overload
    def probabilities(
        self, images: Iterable[_Image], *, batch_size: int = 8, errors: Literal["return"]
    ) -> List[Union[_Floats, Exception]]: ...
    @overload
    def logits(  # type: ignore[overload-overlap]
        self, images: _Image, *, batch_size: int = 8, errors: Literal["raise"] = "raise"
    ) -> _Floats: ...
    @overload
    def logits(
        self, images: Iterable[_Image], *, batch_size: int = 8, errors: Literal["raise"] = "raise"
    ) -> _Floats: ...
    @overload
    def logits(  # type: ignore[overload-overlap]
        self, images: _Image, *, batch_size: int = 8, errors: Literal["return"]
    ) -> Union[_Floats, Exception]: ...
    @overload
    def logits(
        self, images: Iterable[_Image], *, batch_size: int = 8, errors: Literal["return"]
    ) -> List[Union[_Floats, Exception]]: ...
    @overload
    def embed(  # type: ignore[overload-overlap]
        self, images: _Image, *, batch_size: int = 8, errors: Literal["raise"] = "raise"
    ) -> _Floats: ...
    @overload
    def embed(
        self, images: Iterable[_Image], *, batch_size: int = 8, errors: Literal["raise"] = "raise"
    ) -> _Floats: ...
    @overload
    def embed(  # type: ignore[overload-overlap]
        self, images: _Image, *, batch_size: int = 8, errors: Literal["return"]
    ) -> Union[_Floats, Exception]: ...
    @overload
    def embed(
        self, images: Iterable[_Image], *, batch_size: int = 8, errors: Literal["return"]
    ) -> List[Union[_Floats, Exception]]: ...
    @overload
    def feature_maps(  # type: ignore[overload-overlap]
        self, images: _Image, *, batch_size: int = 8, errors: Literal["raise"] = "raise"
    ) -> List[_Floats]: ...
    @overload
    def feature_maps(
        self, images: Iterable[_Image], *, batch_size: int = 8, errors: Literal["raise"] = "raise"
    ) -> List[_Floats]: ...
    @overload
    def feature_maps(  # type: ignore[overload-overlap]
        self, images: _Image, *, batch_size: int = 8, errors: Literal["return"]
    ) -> Union[List[_Floats], Exception]: ...
    @overload
    def feature_maps(
        self, images: Iterable[_Image], *, batch_size: int = 8, errors: Literal["return"]
    ) -> List[Union[List[_Floats], Exception]]: ...
    @overload
    def pixels(  # type: ignore[overload-overlap]
        self, images: _Image, *, batch_size: int = 8, errors: Literal["raise"] = "raise"
    ) -> _Bytes: ...
    @overload
    def pixels(
        self, images: Iterable[_Image], *, batch_size: int = 8, errors: Literal["raise"] = "raise"
    ) -> _Bytes: ...
    @overload
    def pixels(  # type: ignore[overload-overlap]
        self, images: _Image, *, batch_size: int = 8, errors: Literal["return"]
    ) -> Union[_Bytes, Exception]: ...
    @overload
    def pixels(
        self, images: Iterable[_Image], *, batch_size: int = 8, errors: Literal["return"]
    ) -> List[Union[_Bytes, Exception]]: ...
    @overload
    def preprocess(  # type: ignore[overload-overlap]
        self, images: _Image, *, batch_size: int = 8, errors: Literal["raise"] = "raise"
    ) -> _Floats: ...
    @overload
    def preprocess(
        self, images: Iterable[_Image], *, batch_size: int = 8, errors: Literal["raise"] = "raise"
    ) -> _Floats: ...
    @overload
    def preprocess(  # type: ignore[overload-overlap]
        self, images: _Image, *, batch_size: int = 8, errors: Literal["return"]
    ) -> Union[_Floats, Exception]: ...
    @overload
    def preprocess(
        self, images: Iterable[_Image], *, batch_size: int = 8, errors: Literal["return"]
    ) -> List[Union[_Floats, Exception]]: ...
    @overload
    def classify_each(
        self, images: Iterable[_AnyImage], k: int = 5, *, batch_size: int = 8, errors: Literal["raise"] = "raise"
    ) -> Results[_AnyImage, List[Prediction]]: ...
    @overload
    def classify_each(
        self, images: Iterable[_AnyImage], k: int = 5, *, batch_size: int = 8, errors: Literal["return"]
    ) -> Results[_AnyImage, Union[List[Prediction], Exception]]: ...
    @overload
    def probabilities_each(
        self, images: Iterable[_AnyImage], *, batch_size: int = 8, errors: Literal["raise"] = "raise"
    ) -> Results[_AnyImage, _Floats]: ...
    @overload
    def probabilities_each(
        self, images: Iterable[_AnyImage], *, batch_size: int = 8, errors: Literal["return"]
    ) -> Results[_AnyImage, Union[_Floats, Exception]]: ...
    @overload
    def logits_each(
        self, images: Iterable[_AnyImage], *, batch_size: int = 8, errors: Literal["raise"] = "raise"
    ) -> Results[_AnyImage, _Floats]: ...
    @overload
    def logits_each(
        self, images: Iterable[_AnyImage], *, batch_size: int = 8, errors: Literal["return"]
    ) -> Results[_AnyImage, Union[_Floats, Exception]]: ...
    @overload
    def embed_each(
        self, images: Iterable[_AnyImage], *, batch_size: int = 8, errors: Literal["raise"] = "raise"
    ) -> Results[_AnyImage, _Floats]: ...
    @overload
    def embed_each(
        self, images: Iterable[_AnyImage], *, batch_size: int = 8, errors: Literal["return"]
    ) -> Results[_AnyImage, Union[_Floats, Exception]]: ...
    @overload
    def feature_maps_each(
        self, images: Iterable[_AnyImage], *, batch_size: int = 8, errors: Literal["raise"] = "raise"
    ) -> Results[_AnyImage, List[_Floats]]: ...
    @overload
    def feature_maps_each(
        self, images: Iterable[_AnyImage], *, batch_size: int = 8, errors: Literal["return"]
    ) -> Results[_AnyImage, Union[List[_Floats], Exception]]: ...
    @overload
    def pixels_each(
        self, images: Iterable[_AnyImage], *, batch_size: int = 8, errors: Literal["raise"] = "raise"
    ) -> Results[_AnyImage, _Bytes]: ...
    @overload
    def pixels_each(
        self, images: Iterable[_AnyImage], *, batch_size: int = 8, errors: Literal["return"]
    ) -> Results[_AnyImage, Union[_Bytes, Exception]]: ...
    @overload
    def preprocess_each(
        self, images: Iterable[_AnyImage], *, batch_size: int = 8, errors: Literal["raise"] = "raise"
    ) -> Results[_AnyImage, _Floats]: ...
    @overload
    def preprocess_each(
        self, images: Iterable[_AnyImage], *, batch_size: int = 8, errors: Literal["return"]
    ) -> Results[_AnyImage, Union[_Floats, Exception]]: ...
    @property
    def name(self) -> str: ...
    @property
    def num_classes(self) -> int: ...
    @property
    def labels(self) -> Optional[List[str]]: ...
    @property
    def data_config(self) -> Dict[str, Any]: ...
    @property
    def engine(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def dtype(self) -> str: ...
    @property
    def weights(self) -> str: ...

def load(settings: Dict[str, Any]) -> Classifier: ...
def models() -> List[Tuple[str, str, bool]]: ...
def command(arguments: List[str]) -> int: ...
