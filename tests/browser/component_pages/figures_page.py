"""Every figure, on made-up numbers. ?classes= is how many there are."""

import numpy as np
import pandas as pd
import streamlit as st

from analysis.findings import Matrix
from app.figures import before_after_chart, heat_map, label_bars, per_class_chart, scatter_map, score_histogram
from tests.browser.component_pages.pictures import names_of

classes = int(st.query_params.get("classes", 10))
chance = np.random.default_rng(0)
names = names_of(classes)
values = chance.gamma(3, 0.2, classes)
values[3] = np.nan
groups = ["head" if i < classes // 3 else "medium" if i < 2 * classes // 3 else "tail" for i in range(classes)]
per_class = pd.DataFrame({"class_id": range(classes), "class_name": names, "n": 20, "mean_cosine": values})
matrix = np.eye(classes) * 0.6 + chance.random((classes, classes)) * 0.2
labels = chance.integers(0, classes, 3000)
centres = chance.normal(size=(classes, 2)) * 4
place = centres[labels] + chance.normal(size=(3000, 2))
before = chance.integers(5, 50, classes)
changes = pd.DataFrame({"class_name": names, "before": before, "after": before - chance.integers(0, 5, classes)})

left, right = st.columns(2)
left.plotly_chart(per_class_chart(per_class, "mean_cosine", "mean cosine"))
right.plotly_chart(per_class_chart(per_class, "mean_cosine", "mean cosine", groups))
left.plotly_chart(heat_map(Matrix("share of soft mass", matrix, "given class", "soft-label class", names, names)))
right.plotly_chart(scatter_map(*place.T, labels, names, np.arange(3000), chance.random(3000) < 0.02))
left.plotly_chart(score_histogram(chance.beta(5, 2, 2000), chance.random(2000) < 0.1))
right.plotly_chart(before_after_chart(changes))
shares = {name: chance.dirichlet(np.full(classes, 0.2)) for name in ("given", "resnet-18", "convnet-3")}
left.plotly_chart(label_bars(names, shares, given=3))
