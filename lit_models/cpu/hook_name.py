"""A short path for the one attribute that Lightning sets forty times a step."""

from typing import Any, TypeVar

from lightning.pytorch import LightningModule

from lit_models.cpu.switch import plain

Model = TypeVar("Model", bound=type[LightningModule])


def quick_hook_name(model: Model) -> Model:
    """Class decorator that sets ``_current_fx_name`` (lightning 2.6.6) without searching parameters and modules."""
    if plain():
        return model
    set_attribute: Any = model.__setattr__

    def __setattr__(self: Any, name: str, value: Any) -> None:  # noqa: N807  # it becomes that method
        if name == "_current_fx_name":
            self.__dict__[name] = value
        else:
            set_attribute(self, name, value)

    model.__setattr__ = __setattr__  # type: ignore[method-assign]
    return model
