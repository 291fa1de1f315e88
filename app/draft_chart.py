"""A table that grows while a run is under way, as a chart. No Streamlit.

In Vega-Lite, as Streamlit draws a Plotly chart anew whenever anything in it changes, which blinks; of these only the data
changes, so the lines grow.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from app.column_words import words
from app.figures import PALETTE, QUIET
from app.table_figures import GROUP

HEIGHT = 300


def draft_chart(table: pd.DataFrame, measure: str) -> dict[str, Any]:
    """The Vega-Lite specification of ``measure`` along the first column, a line a group; the same while the table grows.

    Groups have their colours in the order in which they come, so that a line keeps its own when others join.
    """
    along = table.columns[0]
    encoding: dict[str, Any] = {
        "x": {"field": along, "type": "quantitative", "title": words(along), "axis": _WHOLE_STEPS},
        "y": {"field": measure, "type": "quantitative", "title": words(measure)},
        "tooltip": [{"field": column, "title": words(column)} for column in (GROUP, along, measure) if column in table],
    }
    if GROUP in table:
        encoding["color"] = {"field": GROUP, "sort": None, "scale": {"range": list(PALETTE)}, "legend": _LEGEND}
    return {"mark": {"type": "line", "point": True, "color": PALETTE[0]}, "encoding": encoding, "height": HEIGHT}


_WHOLE_STEPS = {"grid": False, "tickMinStep": 1, "format": "d"}
_LEGEND = {"title": None, "orient": "bottom", "columns": 2, "labelLimit": 320, "labelColor": QUIET}
