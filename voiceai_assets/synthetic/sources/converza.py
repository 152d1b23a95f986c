"""Call documents: one JSON object per telephone call, with the whole transcript in one string.

Belongs here: how a call goes, and the truth of it: what was offered, accepted, taken back, and in what mood.
Does not belong here: reading that out of the words (``voiceai_assets.transcripts`` does, and can be judged by it).

English only, because the rules that read transcripts are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pyarrow as pa

from voiceai_assets.synthetic.columns import Coded, Spelled, Spoken, Table, glued, hexadecimal, instants
from voiceai_assets.synthetic.config import CHANNELS, MODULES, WorldConfig
from voiceai_assets.synthetic.dialogue import ABANDONED, COMPLETED
from voiceai_assets.synthetic.sources.bakame import phone_numbers
from voiceai_assets.synthetic.sources.base import Piece, Source, nothing
from voiceai_assets.synthetic.streams import Ints, Stream, generator
from voiceai_assets.synthetic.texts import DIGITS, KINDS, TOPICS, personal
from voiceai_assets.synthetic.world import Block, World

AGENTS = ("Ange Mbabazi", "Brice Nshuti", "Clare Uwera", "Denis Gatete", "Eva Keza", "Frank Ishimwe")
SKILLS = (0.25, 0.3, 0.35, 0.45, 0.5, 0.6)  # chance that a caller of this agent accepts the extra
PRICES = (5, 15, 40, 120)
EXTRAS = ("express delivery", "priority support", "an extended warranty", "a printed copy")

_BEGIN = (
    "Agent: Hello, thank you for calling. How can I help you today? Customer: I need help with {topic}{personal}. "
    "Agent: Thank you, I have noted it. "
)
_SALE = "Agent: Your request can be filed now. Shall I book it? Customer: Yes, please book it. Agent: Done. "
_OFFER = "Can I add {extra} for ${price}? "
_END = {
    "nothing": "Agent: Is there anything else? Customer: No, that is all. Goodbye.",
    "refused": "Agent: Your request can be filed now. Shall I book it? Customer: No thanks, not today. "
    "Agent: No problem at all. Customer: This was terrible, I am very disappointed. Goodbye.",
    "sold": _SALE + "Thank you for your time. Customer: Thank you, goodbye.",
    "declined": _SALE + _OFFER + "Customer: No thanks, I don't need that. Agent: No problem at all. Customer: Goodbye.",
    "accepted": _SALE + _OFFER + "Customer: Yes, please add it. Agent: I have added it. Thank you for your time. "
    "Customer: Thank you, great service.",
    "reversed": _SALE + _OFFER + "Customer: Yes, please add it. Agent: I have added it. "
    "Customer: Actually, please cancel {extra}. Agent: I have cancelled it. Customer: Goodbye.",
}
FATES = tuple(_END)


@dataclass(frozen=True, eq=False)
class Calls:
    """The calls of a block and their truth, one element each.

    Attributes:
        session: position in the block.
        agent: index into ``AGENTS``.
        fate: index into ``FATES``.
        price, extra: of what was offered, indices into ``PRICES`` and ``EXTRAS``.
        personal: what the caller says about themselves, if anything: (kind, value), by call.
    """

    session: Ints
    agent: Ints
    fate: Ints
    price: Ints
    extra: Ints
    personal: dict[int, tuple[str, str]]

    def accepted(self, call: int) -> Decimal:
        """What the caller agreed to pay in the end for the extra, in US dollars."""
        return Decimal(PRICES[self.price[call]]) if FATES[self.fate[call]] == "accepted" else Decimal(0)

    def is_converted(self, call: int) -> bool:
        """The main request was sold."""
        return FATES[self.fate[call]] not in {"nothing", "refused"}


def calls(config: WorldConfig, block: Block) -> Calls:
    """What happens in each session on the telephone."""
    s = block.sessions
    spoken = np.flatnonzero(s.channel == CHANNELS.index("voice"))
    rng = generator(config.seed, block.day.number, block.number, Stream.SALES)
    agent = rng.integers(len(AGENTS), size=len(spoken))
    offered, answer = rng.random(len(spoken)) < 0.7, rng.random(len(spoken))
    accepts = answer < np.asarray(SKILLS)[agent]
    of_completed = np.where(
        offered,
        np.where(accepts, np.where(answer < 0.03, FATES.index("reversed"), FATES.index("accepted")), 3),
        FATES.index("sold"),
    )
    outcome = s.outcome[spoken]
    fate = np.where(outcome == COMPLETED, of_completed, np.where(outcome == ABANDONED, FATES.index("refused"), 0))
    said = np.flatnonzero(rng.random(len(spoken)) < config.texts.personal_share)
    kinds, numbers = rng.integers(len(KINDS), size=len(said)), rng.integers(10, size=(len(said), DIGITS))
    return Calls(
        session=spoken,
        agent=agent,
        fate=fate,
        price=rng.integers(len(PRICES), size=len(spoken)),
        extra=rng.integers(len(EXTRAS), size=len(spoken)),
        personal={
            call: personal(KINDS[kind], "en", number)
            for call, kind, number in zip(said.tolist(), kinds.tolist(), numbers.tolist(), strict=True)
        },
    )


def pieces(world: World, block: Block) -> Iterator[Piece]:
    """A document for each call."""
    yield Piece("calls", _documents(block, calls(world.config, block)))


def _documents(block: Block, made: Calls) -> Table:
    s = block.sessions.take(made.session)
    return {
        "call_id": Spelled(glued("CALL_", hexadecimal(s.id))),
        "agent_name": Coded(AGENTS, made.agent),
        "timestamp": Spelled(instants(block.day.date, s.start_ms)),
        "customer_number": Spelled(phone_numbers(s.user)),
        "transcript_text": Spoken(pa.array(_transcripts(s.module.tolist(), made), pa.string())),
    }


def _transcripts(modules: list[int], made: Calls) -> list[str]:
    ends = {
        (fate, price, extra): _END[FATES[fate]].format(extra=EXTRAS[extra], price=PRICES[price])
        for fate in range(len(FATES))
        for price in range(len(PRICES))
        for extra in range(len(EXTRAS))
    }
    begins = [_BEGIN.format(topic=TOPICS[module]["en"], personal="") for module in MODULES]
    found = [
        begins[module] + ends[end]
        for module, end in zip(
            modules, zip(made.fate.tolist(), made.price.tolist(), made.extra.tolist(), strict=True), strict=True
        )
    ]
    for call, (lead, value) in made.personal.items():
        topic = TOPICS[MODULES[modules[call]]]["en"]
        begin = _BEGIN.format(topic=topic, personal=f", {lead}{value}")
        found[call] = begin + ends[int(made.fate[call]), int(made.price[call]), int(made.extra[call])]
    return found


SOURCE = Source("converza", pieces, nothing, ("jsonl", "jsonl.gz", "jsonl.zst"))
