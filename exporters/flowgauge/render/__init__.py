"""From one environment file to all that a deployment needs.

`rendering.render` makes the files, as a mapping of paths to texts and nothing else; `folder`
writes them, or shows what writing them would change; `helm` makes the values of the chart instead.
"""

from flowgauge.render.folder import difference, replace_folder
from flowgauge.render.helm import helm_values
from flowgauge.render.rendering import render

__all__ = ["difference", "helm_values", "render", "replace_folder"]
