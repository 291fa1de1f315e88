"""What leaves this machine for the critic's judges, on its page: nothing, or exactly this picture and this text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from analysis.critic.endpoint_client import on_this_machine
from analysis.critic.endpoint_judge import NAME, endpoint_judge, what_is_sent
from analysis.critic.endpoint_replies import KEY
from analysis.critic.judge import Questions
from analysis.findings import Findings
from app.fragments import fragment
from app.words import plain, show_error
from data.distilled_set import DistilledSet
from data.errors import StillroomError

PICTURE_PX = 520
USUAL_EXAMPLES = 3


@fragment
def sent_section(distilled_set: DistilledSet, parameters: Mapping[str, Any], findings: Findings | None) -> None:
    """``parameters`` are those of the latest run, whatever became of it; ``findings`` the latest there are."""
    endpoint = str(parameters.get("endpoint", "")).strip()
    if not endpoint:
        st.caption(":material/lock: No endpoint is set, so every judge works here and nothing leaves this machine.")
        return
    st.subheader("What is sent")
    if distilled_set.images is None or findings is None or (question := example(findings)) is None:
        st.caption(f"Questions go to {plain(endpoint)}; what one looks like is shown once any has been found to ask.")
        return
    try:
        examples, model = int(parameters.get("examples", USUAL_EXAMPLES)), str(parameters.get("model", ""))
        judge = endpoint_judge(distilled_set, endpoint, model, examples)
        picture, text = what_is_sent(judge, question)
    except StillroomError as error:
        show_error(error)
        return
    where = " That address is this machine itself." if on_this_machine(endpoint) else ""
    st.caption(
        f"{plain(judge.about)}{where} Nothing else is sent. A key is read from the environment variable {plain(KEY)}, goes "
        "to that address only and is not kept."
    )
    with st.expander(f"One question as it is put: sample {int(question.sample_id[0])}", icon=":material/outgoing_mail:"):
        st.image(picture, width=PICTURE_PX, alt="the picture that is sent with the words below")
        st.code(text, language=None, wrap_lines=True)


def example(findings: Findings) -> Questions | None:
    """A question that was put to the endpoint, or else one that could be: about the least sure sample."""
    put = findings.tables["answers"]
    put = put[put["judge"] == NAME]
    if len(put):
        return _question(put.iloc[0], "left", "right")
    asked = findings.per_sample[findings.per_sample["score"].notna()]
    return _question(asked.loc[asked["p_suggested"].idxmin()], "suggested_label", "second_label") if len(asked) else None


def _question(row: pd.Series, left: str, right: str) -> Questions:
    return Questions(*(np.array([int(row[name])]) for name in ("sample_id", left, right)))
