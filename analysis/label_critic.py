"""The label critic: judges compare candidate labels pair by pair, and a tournament makes a best label of their answers."""

from __future__ import annotations

from typing import Annotated

from analysis.context import Context
from analysis.critic.candidates import candidates
from analysis.critic.hearing import hear
from analysis.critic.judge import NONE
from analysis.critic.panel import Wanted, panel
from analysis.critic.report import Heard, report
from analysis.critic.savings import pace
from analysis.encoders import EFFICIENTNET
from analysis.findings import Findings
from analysis.registry import Between, Embedding, analysis
from data.distilled_set import DistilledSet
from data.pair_answers import PEOPLE

JUDGES, CANDIDATES = 0.4, 0.5
"""Where of the progress the judges are ready, and the candidates known."""


@analysis(
    title="Label critic",
    meaning=(
        "Asks several judges which of two candidate labels fits an image better, pair by pair and in both orders, and makes "
        "a best label with its probability of their answers. Each judge counts as much as people's decisions bear it out; "
        "nothing is changed until somebody adopts it."
    ),
    paper=(
        "Label Critic (Bassi et al., arXiv 2411.02753) for comparing labels in pairs; Bradley and Terry 1952 "
        "(doi 10.2307/2334029) for the tournament; Nitzan and Paroush 1982 (doi 10.2307/2526438) for the judges' weights"
    ),
    reads_verdicts=True,
    reads_answers=True,
)
def critic(
    distilled_set: DistilledSet,
    context: Context,
    *,
    prototypes: bool = True,
    committee: bool = True,
    zero_shot: bool = True,
    pairs: Annotated[int, Between(1, 1_000_000)] = 2_000,
    endpoint: str = "",
    model: str = "",
    endpoint_pairs: Annotated[int, Between(1, 1_000_000)] = 200,
    weights_folder: str = "",
    embedding: Annotated[str, Embedding()] = EFFICIENTNET,
    examples: Annotated[int, Between(0, 12)] = 3,
    repeats: Annotated[int, Between(1, 9)] = 1,
    answers_a_source: Annotated[int, Between(1, 5)] = 2,
    least_share: Annotated[float, Between(0.0, 1.0)] = 0.05,
    settled_from: Annotated[float, Between(0.5, 1.0)] = 0.95,
    prior: Annotated[float, Between(0.001, 100.0)] = 0.1,
    adopt_from: Annotated[float, Between(0.5, 1.0)] = 0.9,
    seconds: Annotated[float, Between(0.1, 3600.0)] = 5.0,
) -> Findings:
    """The best label of every sample that there is something to ask about, and how far each judge is to be believed.

    Judges: ``prototypes`` (class prototypes of the reference, or of the rest of the set, in ``embedding``), ``committee``
    (the label sources), ``zero_shot`` (an image-text model from the local ``weights_folder``; without one, words for what
    EfficientNet-Lite0 sees held against the class names), and a vision-language ``model`` behind an OpenAI-compatible
    ``endpoint``, asked ``repeats`` times with ``examples`` reference images a class. Only with an ``endpoint`` does anything
    leave the machine. What people answered on the Compare page counts as one more judge.

    Each judge is asked at most ``pairs`` pairs (the endpoint ``endpoint_pairs``), the most doubtful samples first.
    Candidates are the given label and each source's ``answers_a_source`` likeliest classes of at least ``least_share``. A
    sample is asked no more once its best label has the probability ``settled_from``. ``prior``, ``adopt_from`` and
    ``seconds`` (a person's time for a decision, until enough answers are timed) are those of the tournament and of what
    adopting saves.
    """
    wanted = Wanted(
        prototypes=prototypes,
        committee=committee,
        zero_shot=zero_shot,
        embedding=embedding,
        weights_folder=weights_folder.strip(),
        endpoint=endpoint.strip(),
        model=model.strip(),
        examples=examples,
        repeats=repeats,
        pairs=pairs,
        endpoint_pairs=endpoint_pairs,
    )
    judges = panel(distilled_set, wanted, context.part(0, JUDGES))
    found = candidates(distilled_set, context.part(JUDGES, CANDIDATES), judges.own, answers_a_source, least_share)
    # Whoever skipped a pair said nothing of it.
    people = context.answers.take((context.answers.judge == PEOPLE) & (context.answers.said != NONE))
    answers = hear(found, judges.seats, context.verdicts, people, settled_from, context.part(CANDIDATES, 1))
    heard = Heard(found, answers, people, context.verdicts, prior)
    return report(distilled_set, heard, adopt_from, pace(seconds, people), tuple(judges.caveats))
