"""The package's exceptions. Their messages are those of the library and of the command."""


class EffnetError(Exception):
    """Anything that goes wrong in effnet: the base of the other exceptions."""


class ImageError(EffnetError):
    """An image that cannot be read or decoded, or that is larger than the limits allow."""


class ModelError(EffnetError):
    """The model: its files, its weights, or what was asked of it."""


class UnknownModelError(ModelError, LookupError):
    """A name that belongs to no model."""


class HubError(ModelError):
    """The Hugging Face hub or the cache of its files; it may work later."""


class DeviceError(EffnetError):
    """A device that is not there, or that failed."""
