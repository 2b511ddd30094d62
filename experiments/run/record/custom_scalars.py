"""Layout of the Custom Scalars tab of TensorBoard, and addresses of its curves. Needs no torch."""

import re
from collections.abc import Iterable, Mapping

from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.custom_scalar.layout_pb2 import (
    Category,
    Chart,
    Layout,
    MarginChartContent,
    MultilineChartContent,
)
from tensorboard.plugins.custom_scalar.metadata import CONFIG_SUMMARY_TAG, PLUGIN_NAME

CURVES = "http://localhost:6006/?tagFilter=%5E(train%2Floss%7Cval%2F)#timeseries"
"""Address of the curves of train and val, without learning rate, memory and the like.

Without a filter Time Series begins with the points of the test, since TensorBoard sorts tags by name. They cannot get a
name that comes last: the HParams tab shows the first five tags of the same order.
"""
MEANS = CURVES.replace("#", "&runFilter=mean%24#")
"""Address of the mean curves of groups of seeds."""


def layout(metrics: Iterable[str], margins: Mapping[str, tuple[str, str]] | None = None) -> Summary:
    """Returns a layout with a chart of train and val for the loss and each metric, and charts of curves with margins.

    TensorBoard merges the layouts of all runs by the titles of their categories. Its own function for a layout needs
    TensorFlow.

    Args:
        metrics: Names without ``train/`` and ``val/``.
        margins: Tags of the lower and the upper curve, by the tag of a mean curve.
    """
    charts = []
    for name in dict.fromkeys(["loss", *metrics]):
        tags = [f"{split}/{re.escape(name)}$" for split in ("train", "val")]
        charts.append(Chart(title=name, multiline=MultilineChartContent(tag=tags)))
    categories = [Category(title="train and val", chart=charts)]
    if margins:
        charts = []
        for tag, (low, high) in [*margins.items()][::-1]:  # TensorBoard 2.21 draws the last margin chart first
            series = MarginChartContent.Series(value=tag, lower=low, upper=high)
            charts.append(Chart(title=tag, margin=MarginChartContent(series=[series])))
        categories.append(Category(title="mean ± sd over seeds", chart=charts))
    content = Layout(category=categories).SerializeToString()
    tensor = TensorProto(dtype="DT_STRING", string_val=[content], tensor_shape=TensorShapeProto())
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=PLUGIN_NAME))
    return Summary(value=[Summary.Value(tag=CONFIG_SUMMARY_TAG, tensor=tensor, metadata=metadata)])
