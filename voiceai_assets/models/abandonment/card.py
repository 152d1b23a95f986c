"""The model card that people read: what the model is for, how good it is, what the data say, in plain words.

Belongs here: sentences and tables of numbers that were measured elsewhere. Does not belong here: measuring, drawing,
and the verdict, which depends on the champion of the day: the same training must give the same card.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from inspect import cleandoc

from voiceai_assets.models.abandonment.coefficients import Coefficient
from voiceai_assets.models.abandonment.contest import Contest
from voiceai_assets.models.abandonment.evidence import CLAIM
from voiceai_assets.models.abandonment.measures import Estimate
from voiceai_assets.models.abandonment.prefix import CATALOGUE
from voiceai_assets.models.abandonment.training import HeadResult, TrainingResult

HEAD_WORDS = {
    "hazard": "gives up before the next turn",
    "landmark": "ends the session without getting what they came for",
}
KIND_WORDS = {"logistic": "logistic regression", "boosting": "gradient boosting"}
GROUP_WORDS = {
    "asr": "speech recognition confidence",
    "nlu": "intent confidence",
    "errors": "errors so far",
    "latency": "reply time",
    "position": "how far into the session",
    "user": "who is calling",
    "other": "features outside the catalogue",
}


def card_markdown(contest: Contest, pictures: Sequence[str]) -> str:
    """The whole card. Pictures are named as the files that lie beside it."""
    result = contest.result
    parts = [
        *_introduction(contest),
        *(line for name, head in result.heads.items() for line in _head(name, head)),
        *_claims(contest),
        *_when(contest),
        *_odds(contest),
        *_limits(result),
        "## Pictures",
        "",
        *(f"![{name.removesuffix('.png').replace('_', ' ')}]({name})" for name in pictures),
        "",
    ]
    return "\n".join(parts)


def said(estimate: Estimate, digits: int = 3) -> str:
    """A value with its interval, or that there is none."""
    if estimate.value is None:
        return "not computable"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.{digits}f} (no interval)"
    return f"{estimate.value:.{digits}f} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def _or_unknown(value: float | None, digits: int) -> str:
    return "not computable" if value is None else f"{value:.{digits}f}"


def _introduction(contest: Contest) -> list[str]:
    result = contest.result
    judged = result.heads["hazard"].evaluation
    gain = said(contest.boosting_gain["hazard"], 4)
    return _lines(
        f"""
        # Abandonment model

        After every turn of a call the model says how likely the caller is to give up. It knows what had happened until
        then and nothing of what came later.

        - **Kind**: {KIND_WORDS[contest.candidate]}. Gradient boosting instead of logistic regression changes the log
          loss per turn by {gain} (above 0: boosting is better); it is chosen only where that interval excludes 0.
        - **Learned from**: {result.train_rows:,} turns of {result.train_users:,} known callers,
          {result.train_days[0]} to {result.train_days[-1]}.
        - **Judged on**: {judged.rows:,} turns of {judged.users:,} known callers on later days,
          {result.test_days[0]} to {result.test_days[-1]}.
        - **Brackets** are 95 % intervals: with other callers of the same kind, the figure would mostly lie there.
        """
    )


def _head(name: str, head: HeadResult) -> list[str]:
    e = head.evaluation
    rows = [
        ["Callers who do", f"{e.base_rate:.1%}", "of the turns judged"],
        ["AUC", said(e.auc), "0.5 is a coin, 1 is perfect: chance that the worse case gets the higher number"],
        ["AUC at turn 1", said(e.auc_by_turn["1"]), "after the first exchange"],
        ["AUC at turn 2", said(e.auc_by_turn["2"]), "after the second"],
        ["Precision-recall area", said(e.pr_auc), "compare with the share above, which guessing reaches"],
        ["Log loss", said(e.log_loss, 4), "smaller is better"],
        ["Brier score", said(e.brier, 4), "smaller is better"],
        ["Calibration slope", said(e.calibration_slope, 2), "1 is right; below 1 it is too sure of itself"],
        ["Calibration error", said(e.ece), "how far a stated probability is off; chance is taken off the interval"],
        ["... by chance alone", f"{e.ece_by_chance:.3f}", "what a model that is right would show on these callers"],
        ["Design effect", _or_unknown(e.design_effect, 1), "so many turns say as much as one that is independent"],
    ]
    rows += [
        [f"Better than {words}", said(head.baselines[key].gain, 4), "log loss saved; above 0 the model wins"]
        for key, words in (("rate_by_turn", "the rate of each turn"), ("asr_now_and_turn", "ASR now and the turn"))
    ]
    slices = [
        [
            where,
            f"{part.rows:,}",
            f"{part.users:,}{'' if part.precision == 'ok' else f' ({part.precision})'}",
            *(said(measure) for measure in (part.rate, part.auc, part.pr_auc, part.log_loss, part.brier)),
            said(part.calibration_slope, 2),
            f"{said(part.ece)}, by chance {part.ece_by_chance:.3f}",
        ]
        for where, part in e.slices.items()
    ]
    return [
        f"## How well it knows who {HEAD_WORDS[name]}",
        "",
        *_table(["Measure", "Value", "How to read it"], rows),
        "",
        "By turn and kind of caller, of 30 callers or more (*seen* ones are those it had learned from):",
        "",
        *_table(
            [
                *("Where", "Turns", "Callers", "Share that does", "AUC", "Precision-recall", "Log loss", "Brier"),
                *("Slope", "Calibration error"),
            ],
            slices,
        ),
        "",
    ]


def _claims(contest: Contest) -> list[str]:
    lines = [f'## "{CLAIM}": is it so?', ""]
    for head, claim in contest.evidence.claims.items():
        ranked = sorted(claim.importance.items(), key=lambda item: -(item[1].value or 0.0))
        lines += [
            f"**{HEAD_WORDS[head].capitalize()}: {claim.verdict}.** {_sentence(claim.because)}",
            f"Lead of speech recognition over the best other group: {said(claim.lead, 4)}.",
            "",
            *_table(
                ["Group", "Log loss grows by, when exchanged between callers"],
                [[GROUP_WORDS[group], said(estimate, 4)] for group, estimate in ranked],
            ),
            "",
        ]
    return [
        *lines,
        "To predict is not to cause: this says what the model leans on, not what would happen if it were changed.",
        "",
    ]


def _when(contest: Contest) -> list[str]:
    evidence = contest.evidence
    incidence = evidence.incidence
    rows = [[str(turn.k), f"{turn.sessions:,}", said(turn.hazard)] for turn in evidence.hazard_by_turn]
    ends = [[outcome, f"{curve[-1]:.1%}"] for outcome, curve in incidence.by_outcome.items()]
    return [
        "## When callers give up",
        "",
        *_lines(
            f"""
            Share that gives up at turn 1 minus the share at later turns: {said(evidence.first_turn_minus_later)}.
            Above 0, callers leave early. Callers differ in patience, which nobody observes: the impatient leave first,
            so the share may fall from turn to turn without anybody becoming more patient.
            """
        ),
        *_table(["Turn", "Sessions that reached it", "Share that gives up then"], rows),
        "",
        *_when_by_segment(contest),
        f"Of all sessions, by turn {incidence.k[-1]} (competing outcomes, Aalen-Johansen):",
        "",
        *_table(["Ends", "Share"], ends),
        "",
    ]


def _when_by_segment(contest: Contest) -> list[str]:
    lines = []
    for kind, values in contest.evidence.hazard_by_segment.items():
        turns = [str(turn.k) for turn in next(iter(values.values()))]
        rows = [
            [name, *(f"{said(turn.hazard)}, of {turn.sessions:,}" for turn in found)] for name, found in values.items()
        ]
        head = [kind.replace("_", " ").capitalize(), *(f"Turn {turn}" for turn in turns)]
        lines += [f"By {kind.replace('_', ' ')}, of the sessions that reached the turn:", "", *_table(head, rows), ""]
    return lines


def _odds(contest: Contest) -> list[str]:
    lines = _lines(
        """
        ## What goes with giving up

        Odds ratios of a logistic regression: 1.5 means half as much again per standard deviation of the feature (for a
        category: against the others), everything else equal. Intervals allow for callers who come back.
        """
    )
    for head, found in contest.odds.items():
        rows = [[c.name, f"{c.odds_ratio:.2f}", *_uncertainty(c)] for c in found]
        lines += [f"{HEAD_WORDS[head].capitalize()}:", "", *_table(["Feature", "Odds ratio", "95 %", "p"], rows), ""]
    docs = [[feature.name, feature.group, feature.doc] for feature in CATALOGUE]
    return [*lines, "## Features", "", *_table(["Name", "Group", "Meaning"], docs), ""]


def _uncertainty(found: Coefficient) -> list[str]:
    if found.low is None or found.high is None or found.p_value is None:
        return ["not computable", ""]
    return [f"{found.low:.2f} to {found.high:.2f}", f"{found.p_value:.3f}"]


def _limits(result: TrainingResult) -> list[str]:
    alarm = "**An AUC above .90 at turn 1: some feature may know the outcome.** " if result.leakage_alarm else ""
    return _lines(
        f"""
        ## Limits

        {alarm}Made for this service and these days. Probabilities are right on average, not for a single caller. It
        must not decide about a person; it is made to offer help earlier. No free text and no name enters it.
        """
    )


def _lines(text: str) -> list[str]:
    return [*cleandoc(text).splitlines(), ""]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def plain_summary(contest: Contest) -> Mapping[str, str]:
    """The three lines that a step's metadata shows first."""
    claim = contest.evidence.claims["hazard"]
    return {
        "decision": f"{contest.decision.action}: {contest.decision.because}",
        "claim": f"{CLAIM}: {claim.verdict}, since {claim.because}",
        "callers leave early": said(contest.evidence.first_turn_minus_later),
    }
