from typing import NamedTuple, Optional


class Prediction(NamedTuple):
    """A class that an image may belong to, with the fields of the command's JSON."""

    index: int  # type: ignore[assignment]  # it hides the method of tuple
    """The class's index."""
    synset: Optional[str]
    """Its WordNet synset, for ImageNet classes: ``n07920052``."""
    label: Optional[str]
    """Its name, ``espresso``; ``None`` if the model has no labels."""
    probability: Optional[float]
    """From 0 to 1; ``None`` if the activation is ``none``."""
    logit: float
    """The network's output."""
