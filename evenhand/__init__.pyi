from datamodules import *  # noqa: F403
from evenhand.api import *  # noqa: F403
from experiments.export import *  # noqa: F403
from experiments.inference import *  # noqa: F403
from lit_models import *  # noqa: F403
