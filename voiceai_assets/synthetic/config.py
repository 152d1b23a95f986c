"""What a synthetic world is: every effect, every switch, as frozen data. The same configuration gives the same bytes.

Belongs here: the knobs, their defaults, and the worlds that have a name (linear, curved, null ASR).
Does not belong here: what is drawn from them (``people``, ``dialogue``), the order of causes (``docs/synthetic.md``).

Logits throughout, unless a unit is said. An effect of 0 is off.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta

REGIONS = ("rural", "urban")
LANGUAGES = ("rw", "en", "fr", "sw")
CHANNELS = ("voice", "ussd", "web")
MODULES = ("birth_certificate", "land_title", "driving_permit", "payment")
OUTCOMES = ("abandoned", "completed", "transferred", "in_progress")
ERRORS = (None, "misunderstanding", "silence", "repeated_intent_failure", "technical")
COMPONENTS = ("asr", "llm", "tts")
MAX_TURNS = 12
HOURS = 24
ASR_CENTRE = 0.8
LATENCY_CENTRE = 7.1  # log(1 + ms) of a median reply
MOST_USERS = 10**8  # their names have eight digits


@dataclass(frozen=True)
class Hazard:
    """True coefficients of giving up after turn k, on the logit, in the units of the model's features.

    Confidences enter as they stand (0 to 1) minus ``ASR_CENTRE``; where nothing is spoken they contribute nothing.
    Latency enters as log(1 + ``total_ms``) minus ``LATENCY_CENTRE``, position as k - 1.

    Attributes:
        base: logit at confidence .8, turn 1, no error, a second's latency, a returning urban caller.
        asr_now: of the turn's own ASR confidence.
        asr_mean: of its running mean.
        error_now: of an error on this turn.
        errors_in_row: of each error in a row, this one included.
        log_latency: of the logarithm of the reply time.
        turn: of each turn after the first; negative: the later the rarer.
        first_time: of a caller's first session.
        rural: of a rural caller, beyond what worse ASR does.
        curve: strength of a part that no straight line can follow: low confidence and slow replies at once, or neither,
            drive callers away; one alone does not.
        frailty: standard deviation between callers, which no column shows.
        day_shock: standard deviation between days, common to all callers of a day.
    """

    base: float = -3.1
    asr_now: float = -4.0
    asr_mean: float = -2.5
    error_now: float = 0.3
    errors_in_row: float = 0.3
    log_latency: float = 0.15
    turn: float = -0.06
    first_time: float = 0.3
    rural: float = 0.0
    curve: float = 0.0
    frailty: float = 0.8
    day_shock: float = 0.0


@dataclass(frozen=True)
class Speech:
    """How well callers are understood: logits of ASR confidence, and what confidence does to the rest.

    Attributes:
        base: urban English caller of average clarity under the first release.
        rural: of rural callers.
        language: in the order of ``LANGUAGES``.
        user_sd: standard deviation between callers.
        session_sd: between sessions of a caller.
        turn_sd: between turns of a session.
        drift_per_30_days: slow change of all confidences.
        error_base: logit of an error on a turn of confidence 1.
        error_by_doubt: times (1 - confidence).
        intent_by_asr: intent confidence follows ASR confidence this much (0: not at all).
    """

    base: float = 1.75
    rural: float = -0.5
    language: tuple[float, float, float, float] = (-0.3, 0.1, -0.1, -0.2)
    user_sd: float = 0.5
    session_sd: float = 0.4
    turn_sd: float = 0.7
    drift_per_30_days: float = 0.0
    error_base: float = -3.1
    error_by_doubt: float = 4.5
    intent_by_asr: float = 4.0


@dataclass(frozen=True)
class Population:
    """Who could call, and when.

    Attributes:
        rural: share of rural callers on the first day.
        rural_shift: added to that share by the last day, in equal steps (mix shift).
        language: shares in the order of ``LANGUAGES``.
        channel: shares in the order of ``CHANNELS``; a session's, not a caller's.
        disability: share of callers who declare one.
        known_before: share of callers who had called before the first day; the others join on a day of their own.
        weekday: factors of volume, Monday first; they average 1.
        season: amplitude of a yearly wave of volume (0.2: plus and minus a fifth).
        growth: volume of the last day over that of the first, minus 1.
        callback: share of those who gave up that call again within two hours.
        near_midnight: share of sessions that begin in the last minute of the day.
    """

    rural: float = 0.4
    rural_shift: float = 0.0
    language: tuple[float, float, float, float] = (0.5, 0.2, 0.15, 0.15)
    channel: tuple[float, float, float] = (0.86, 0.09, 0.05)
    disability: float = 0.06
    known_before: float = 0.4
    weekday: tuple[float, ...] = (1.15, 1.10, 1.05, 1.05, 1.00, 0.85, 0.80)
    season: float = 0.0
    growth: float = 0.0
    callback: float = 0.10
    near_midnight: float = 0.01


@dataclass(frozen=True)
class Effect:
    """What a release or a variant changes: logits of hazard and ASR confidence, factors of model time and tokens."""

    hazard: float = 0.0
    asr: float = 0.0
    llm_factor: float = 1.0
    token_factor: float = 1.0


NO_EFFECT = Effect()


@dataclass(frozen=True)
class Release:
    """A deployment: serves from ``day`` (0 is the first) until the next one."""

    day: int
    version: str
    effect: Effect = NO_EFFECT


@dataclass(frozen=True)
class Variant:
    """One arm: ``allocation`` is declared, ``served`` is what units get (None: as declared; else it is an SRM)."""

    name: str
    allocation: float
    effect: Effect = NO_EFFECT
    served: float | None = None
    is_control: bool = False


@dataclass(frozen=True)
class Experiment:
    """An experiment over a span of days; ``unit`` is what is randomised."""

    name: str
    variants: tuple[Variant, ...]
    unit: str = "user"
    first_day: int = 0
    last_day: int | None = None


@dataclass(frozen=True)
class Outage:
    """Hours of a day in which a component fails: its turns are technical errors, slow and without its measurement."""

    day: int
    from_hour: float
    to_hour: float
    component: str = "llm"
    share: float = 0.8


@dataclass(frozen=True)
class Texts:
    """Planted personal data: the share of turns whose caller says some; names without a cue are among it or not."""

    personal_share: float = 0.02
    bare_names: bool = False


@dataclass(frozen=True)
class References:
    """Turns of which a person wrote down what was said (canonical): their share, and how wrong recognition is there.

    A word is recognised wrongly with the chance ``doubt`` times (1 - ASR confidence).
    """

    share: float = 0.0
    doubt: float = 0.6


@dataclass(frozen=True)
class Contradictions:
    """Shares of irembo's sessions whose records say something else than what happened; what happened stays as it is.

    Attributes:
        escalation: the escalation flag stands where nobody was transferred, or is missing where somebody was.
        transfer_reason: the same of the reason.
        record: the business record is completed where the session is not, or the other way round.
        applicant: the business record names another caller.
        turn_count: the session declares one exchange more than it had.
    """

    escalation: float = 0.0
    transfer_reason: float = 0.0
    record: float = 0.0
    applicant: float = 0.0
    turn_count: float = 0.0


_RELEASES = (Release(0, "dialogue-1.4"), Release(15, "dialogue-1.5", Effect(asr=0.2, llm_factor=0.86)))


@dataclass(frozen=True)
class WorldConfig:
    """A whole world.

    Attributes:
        first_day: in UTC.
        days: how many.
        users: who could call within them.
        sessions_per_day: average over a week; weekdays have more, weekends fewer.
        seed: of everything.
        calm_midnights: days (0 is the first) into which no session reaches from the day before.
        cut_at_end: sessions that reach beyond the last day break off there and are in progress; otherwise they begin
            early enough to end in time.
        undeclared: share of abandoned sessions whose emitter says nothing, so that silence must tell.
        contradictions: between the records of irembo's files.
        references: reference transcripts of canonical turns.
    """

    first_day: date = date(2026, 1, 1)
    days: int = 30
    users: int = 600
    sessions_per_day: float = 120.0
    seed: int = 20260801
    hazard: Hazard = Hazard()
    speech: Speech = Speech()
    population: Population = Population()
    texts: Texts = Texts()
    releases: tuple[Release, ...] = _RELEASES
    experiments: tuple[Experiment, ...] = ()
    outages: tuple[Outage, ...] = ()
    calm_midnights: frozenset[int] = field(default=frozenset())
    cut_at_end: bool = True
    undeclared: float = 0.08
    contradictions: Contradictions = Contradictions()
    references: References = References()

    def __post_init__(self) -> None:
        problem = next(self._problems(), None)
        if problem:
            raise ValueError(problem)

    def _problems(self) -> Iterator[str]:
        if min(self.days, self.users, self.sessions_per_day) < 1 or self.users > MOST_USERS:
            yield (
                f"days, users and sessions_per_day must be at least 1, and users at most {MOST_USERS:,}; not "
                f"{self.days}, {self.users} and {self.sessions_per_day}"
            )
        if not self.releases or self.releases[0].day != 0:
            yield "the first release must serve from day 0"
        if [release.day for release in self.releases] != sorted({release.day for release in self.releases}):
            yield "releases must be in order of their days, one a day"
        for name, share in self._shares().items():
            if not 0 <= share <= 1:
                yield f"shares lie between 0 and 1, not {share} ({name.replace('_', ' ')})"
        for experiment in self.experiments:
            if not experiment.variants or experiment.unit not in {"user", "session"}:
                yield f"experiment {experiment.name}: it needs variants, and its unit is user or session"
        for outage in self.outages:
            if outage.component not in COMPONENTS or not 0 <= outage.from_hour < outage.to_hour <= HOURS:
                yield f"outage on day {outage.day}: a component of {', '.join(COMPONENTS)}, and hours in order"

    def _shares(self) -> dict[str, float]:
        return {
            "rural": self.population.rural,
            "rural on the last day": self.population.rural + self.population.rural_shift,
            "undeclared": self.undeclared,
            **{f"contradictions of {kind}": share for kind, share in asdict(self.contradictions).items()},
            **{f"references' {name}": share for name, share in asdict(self.references).items()},
        }

    def day(self, number: int) -> date:
        """The day of that number; 0 is the first."""
        return self.first_day + timedelta(days=number)


def linear(**changes: object) -> WorldConfig:
    """The world whose hazard is a straight line in the model's features: voice only, no frailty, nothing unseen.

    A logistic regression on the right columns is the truth here, so boosting has nothing to find.
    """
    return _made(
        WorldConfig(
            hazard=Hazard(frailty=0.0),
            population=Population(channel=(1.0, 0.0, 0.0)),
            releases=(Release(0, "dialogue-1.4"),),
        ),
        changes,
    )


def curved(**changes: object) -> WorldConfig:
    """The world whose hazard hangs on a product of confidence and latency that no straight line can follow."""
    start = linear()
    hazard = replace(start.hazard, base=-2.7, asr_now=-1.0, asr_mean=0.0, log_latency=0.0, curve=1.2)
    return _made(replace(start, hazard=hazard), changes)


def null_asr(**changes: object) -> WorldConfig:
    """The world in which ASR confidence does nothing: not to the hazard, not to errors, not to intents.

    Errors drive callers away instead, so there is something to predict.
    """
    start = WorldConfig()
    return _made(
        replace(
            start,
            hazard=replace(start.hazard, base=-2.6, asr_now=0.0, asr_mean=0.0, error_now=1.0, errors_in_row=0.5),
            speech=replace(start.speech, error_base=-1.6, error_by_doubt=0.0, intent_by_asr=0.0),
        ),
        changes,
    )


def _made(start: WorldConfig, changes: dict[str, object]) -> WorldConfig:
    return replace(start, **changes)  # type: ignore[arg-type]  # the dataclass refuses unknown names
