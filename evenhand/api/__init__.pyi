from .estimators import EvenhandClassifier as EvenhandClassifier
from .estimators import EvenhandRegressor as EvenhandRegressor
from .feature_importance import explain as explain
from .run_comparison import Comparison as Comparison
from .run_comparison import compare as compare
from .run_results import Run as Run
from .run_results import Runs as Runs
from .training import fit as fit
