"""Which offers of a call the customer agreed to, and which were taken back: a state machine over its turns.

Belongs here: what follows from what was said before. Does not belong here: what single words do (``phrases``).

Definitions, the same for every transcript:

- An *item* is something that the agent offers, or that the customer orders. An offer is not a sale: only the customer's
  words can accept one, and only where they answer it (a "yes" to "can you hear me?" sells nothing).
- *Converted*: at the end of the call at least one item is accepted. Conditional, hypothetical and reported agreement
  ("I would book it if ...", "my wife said yes") is none.
- An *extra* is an upgrade, add-on or cover, or anything priced that is offered after a first sale. Only extras have
  amounts; the price of the main product is no upsell. An amount counts as it was said, once, without multiplying
  months or pieces.
- *Offered* is the sum of the prices of all extras, each once, at the last price named; *accepted* what is agreed at the
  end of the call; *reversed* what was agreed in one turn and taken back in a later one: accepted + reversed <= offered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum, auto

from voiceai_assets.transcripts.amounts import Amount
from voiceai_assets.transcripts.dialogue import Speaker, Turn
from voiceai_assets.transcripts.phrases import (
    EXTRA,
    AgentAct,
    CustomerAct,
    Said,
    agent_act,
    label,
    names_alternatives,
    prices,
    sentences,
)

NOTHING = Decimal(0)


class _State(Enum):
    OPEN = auto()
    WISHED = auto()  # ordered by the customer before anything was offered; a sale once the agent confirms it
    COUNTERED = auto()  # ordered by the customer at another price; a sale once the agent agrees
    REFUSED = auto()
    ACCEPTED = auto()
    REVERSED = auto()


@dataclass(eq=False)
class _Item:
    words: frozenset[str]
    is_extra: bool
    turn: int
    value: Decimal | None = None
    currency: str | None = None
    state: _State = _State.OPEN
    accepted_in: int = -1
    counter: Amount | None = None

    def take_price(self, amount: Amount) -> None:
        self.value, self.currency = amount.value, amount.currency


@dataclass(frozen=True)
class Sums:
    """Amounts of extras in one currency (None where the words do not say which)."""

    currency: str | None
    offered: Decimal = NOTHING
    accepted: Decimal = NOTHING
    reversed: Decimal = NOTHING


@dataclass(frozen=True)
class Sales:
    """What a call sold.

    Attributes:
        is_converted: None where no turn says who speaks, or there is none, so that nothing can be known.
        offer_count: items that were offered or ordered, priced or not.
        sums: one per currency, the one with accepted amounts first.
    """

    is_converted: bool | None
    offer_count: int
    sums: tuple[Sums, ...] = ()

    @property
    def main(self) -> Sums:
        """The currency that the call is reported in: that of the first accepted extra, else of the first offered."""
        return self.sums[0] if self.sums else Sums(None)


def sales(turns: Sequence[Turn]) -> Sales:
    """Follow a call from first to last turn.

    Args:
        turns: in order, with cleaned text; turns of nobody are passed over.
    """
    if all(turn.speaker is Speaker.UNKNOWN for turn in turns):
        return Sales(None, 0)
    talk = _Talk()
    for number, turn in enumerate(turns):
        match turn.speaker:
            case Speaker.AGENT:
                talk.agent(number, turn.text)
            case Speaker.CUSTOMER:
                talk.customer(number, turn.text)
            case Speaker.UNKNOWN:
                continue
    return talk.result()


_ALL = re.compile(r"\b(?:all|everything|whole|both|any of|entire|anything)\b", re.ASCII)
_BOTH = re.compile(r"\b(?:both|all of them|everything|all three|them)\b", re.ASCII)
_CHOICE = re.compile(
    r"(?:okay |ok |well |so |then |yes )*(?:just |only )?(?:the|that|your|with the) [\w -]{1,40}$", re.ASCII
)
_AGAIN = re.compile(r"\b(?:after all|back|again)\b", re.ASCII)
_PLACES = {"first": 0, "former": 0, "second": 1, "latter": 1, "third": 2, "last": -1}
_CHEAP = re.compile(r"\b(?:cheap(?:er|est)|less expensive|lower|smaller|smallest)\b", re.ASCII)
_DEAR = re.compile(r"\b(?:more expensive|most expensive|pricier|dearer|bigger|biggest|better|best)\b", re.ASCII)


@dataclass
class _Talk:
    """The state: items, what the agent's last turn asked, and which items that was about."""

    items: list[_Item] = field(default_factory=list)
    asked: AgentAct = AgentAct.TELL
    focus: list[_Item] = field(default_factory=list)
    is_either: bool = False
    turn: int = -1

    # -- the agent -------------------------------------------------------------------------------------------------

    def agent(self, number: int, text: str) -> None:
        """An agent's turn: offers are put on the table, a question is asked, a wish is confirmed."""
        self.turn, self.asked = number, AgentAct.TELL
        for sentence in sentences(text):
            act = agent_act(sentence)
            match act:
                case AgentAct.CLOSE | AgentAct.PROPOSE:
                    self._offer(sentence, act)
                case AgentAct.DONE:
                    self._confirm()
                case AgentAct.REFUSE:
                    self._fail()
                case AgentAct.ASK if any(item.turn == number and item.state is _State.OPEN for item in self.items):
                    self._offer(sentence, AgentAct.CLOSE)
                case AgentAct.CANCEL | AgentAct.OTHER | AgentAct.ASK:
                    self.asked = act
                    self._priced(sentence)
                case AgentAct.TELL:
                    self._confirm_counter(sentence)

    def _offer(self, sentence: str, act: AgentAct) -> None:
        own = self._priced(sentence)
        if not own and act is AgentAct.PROPOSE:
            own = [self._named(sentence, is_extra=EXTRA.search(sentence) is not None)]
        here = [item for item in self.items if item.turn == self.turn and item.state is _State.OPEN]
        if own or here:
            self.focus = own or here
            self.is_either = len(self.focus) > 1 and (names_alternatives(sentence) or (not own and self.is_either))
        elif act is AgentAct.CLOSE:
            self._close(sentence)
        if act is AgentAct.CLOSE or self.asked is AgentAct.TELL:
            self.asked = act

    def _close(self, sentence: str) -> None:
        """A question that names no price: about what lies on the table, else about the main product."""
        words = label(sentence)
        on_table = [item for item in self.items if item.state in {_State.OPEN, _State.WISHED}]
        named = [item for item in on_table if item.words & words]
        self.focus = named or on_table or [self._named(sentence, is_extra=EXTRA.search(sentence) is not None)]
        for item in self.focus:
            item.state = _State.OPEN  # asked back, a wish has become an offer
        self.is_either = False

    def _priced(self, sentence: str) -> list[_Item]:
        """Items for the prices in a sentence: new ones, or a new price for one that is known."""
        if agent_act(sentence) is AgentAct.TELL:
            return []
        found: list[_Item] = []
        known = list(self.items)
        start = 0
        priced = prices(sentence)
        for n, amount in enumerate(priced):
            end = priced[n + 1].start if n + 1 < len(priced) else len(sentence)
            words = label(sentence[start : amount.start]) or label(sentence[amount.end : end])
            is_extra = self._is_sold or EXTRA.search(sentence[start:end]) is not None
            item = self._same(known, words, amount)
            if item is None:
                item = _Item(words, is_extra, self.turn)
                self.items.append(item)
            if item.state not in {_State.ACCEPTED, _State.REVERSED}:
                item.take_price(amount)
                item.turn, item.state = self.turn, _State.OPEN
                item.is_extra |= is_extra
                found.append(item)
            start = amount.end
        return found

    def _same(self, known: Sequence[_Item], words: frozenset[str], amount: Amount) -> _Item | None:
        """The item that a price speaks of again: named alike, or not named at all."""
        for item in reversed(known):
            is_alike = bool(words and item.words) and (words <= item.words or item.words <= words)
            is_unnamed = not words and (item.value in {None, amount.value}) and item.state is not _State.REFUSED
            if is_alike or is_unnamed:
                return item
        return None

    def _named(self, sentence: str, *, is_extra: bool) -> _Item:
        """The item without a price that a sentence names, a new one if need be."""
        words = label(sentence)
        for item in reversed(self.items):
            if item.state is _State.OPEN and item.words == words and item.is_extra is is_extra:
                return item
        item = _Item(words, is_extra, self.turn)
        self.items.append(item)
        return item

    def _confirm(self) -> None:
        for item in self.items:
            if item.state in {_State.WISHED, _State.COUNTERED}:
                if item.counter is not None:
                    item.take_price(item.counter)
                self._accept([item])

    def _confirm_counter(self, sentence: str) -> None:
        if re.match(r"(?:yes|sure|okay|ok|alright|fine|of course|certainly)\b", sentence) and any(
            item.state is _State.COUNTERED for item in self.items
        ):
            self._confirm()

    def _fail(self) -> None:
        """It cannot be had: a wish is over, and so is the sale that was just made."""
        pending = [item for item in self.items if item.state in {_State.WISHED, _State.COUNTERED}]
        for item in pending:
            item.state, item.counter = _State.REFUSED, None
        if not pending:
            self._reverse([item for item in self._accepted if item.accepted_in == self.turn - 1][-1:])

    # -- the customer ----------------------------------------------------------------------------------------------

    def customer(self, number: int, text: str) -> None:
        """A customer's turn: its clauses in order; later ones overrule earlier ones."""
        self.turn = number
        acts = [entry for sentence in sentences(text) for entry in Said(sentence).acts()]
        for act, clause in acts:
            self._hear(act, clause)
        if any(act is CustomerAct.WAVER for act, _ in acts):
            self._settle_waver()
        self.asked = AgentAct.TELL

    def _hear(self, act: CustomerAct, clause: str) -> None:
        match act:
            case CustomerAct.ORDER | CustomerAct.YES | CustomerAct.FINE | CustomerAct.BID:
                self._agree(act, clause)
            case CustomerAct.NO:
                self._refuse(clause)
            case CustomerAct.HESITATE | CustomerAct.ASK_PRICE:
                self._take_back_this_turn()
            case CustomerAct.REVERSE:
                self._reverse_named(clause)
            case CustomerAct.TELL:
                self._hear_of(clause)
            case CustomerAct.WAVER | CustomerAct.KEEP:
                pass

    def _agree(self, act: CustomerAct, clause: str) -> None:
        if self.asked is AgentAct.CANCEL and act is not CustomerAct.ORDER:
            self._reverse(self._accepted[-1:])
            return
        answers = act is CustomerAct.ORDER or self.asked is AgentAct.CLOSE
        answers |= act in {CustomerAct.YES, CustomerAct.BID} and self.asked is AgentAct.PROPOSE
        if answers:
            self._accept_named(clause, is_order=act is CustomerAct.ORDER)
        else:
            self._hear_of(clause)

    def _accept_named(self, clause: str, *, is_order: bool) -> None:
        named = prices(clause)
        targets = self._named_again(clause) or self._targets(clause)
        if named and not any(item.value == named[0].value for item in targets):
            self._order_at(named[0], clause)
        elif targets:
            self._accept(targets)
        elif is_order and not self._on_table and not self._is_said_already:
            self.items.append(_Item(label(clause), is_extra=False, turn=self.turn, state=_State.WISHED))

    def _order_at(self, amount: Amount, clause: str) -> None:
        """The customer names a price: that of an item, a new item's, or another price than was asked."""
        same = [item for item in self._on_table if item.value == amount.value]
        if same:
            self._accept(same[-1:])
            return
        priced = [item for item in self._on_table if item.value is not None and item.is_extra]
        if priced:
            priced[-1].state, priced[-1].counter = _State.COUNTERED, amount
            return
        is_answer = self.asked in {AgentAct.CLOSE, AgentAct.PROPOSE} or bool(self._on_table)
        item = next((i for i in reversed(self._on_table) if i.is_extra and i.value is None), None)
        if item is None:
            item = _Item(label(clause), EXTRA.search(clause) is not None or self._is_sold, self.turn)
            self.items.append(item)
        item.take_price(amount)
        item.state = _State.WISHED
        if is_answer:
            self._accept([item])

    def _targets(self, clause: str) -> list[_Item]:
        """Which items a clause means."""
        table = self._on_table
        focus = [item for item in self.focus if item in table]
        if _BOTH.search(clause) and len(focus or table) > 1:
            return focus or table
        if chosen := _by_place(clause, focus or table):
            return chosen
        words = label(clause)
        if named := _by_words(words, focus) or _by_words(words, table) or _by_words(words, self._gone):
            return named
        amount_named = {amount.value for amount in prices(clause)}
        if by_price := [item for item in table if item.value in amount_named]:
            return by_price
        if self._is_said_already or (len(focus) > 1 and self.is_either):
            return []
        return focus or table[-1:]

    @property
    def _is_said_already(self) -> bool:
        """In "the silver one, please" the second clause does not mean the other one."""
        return any(item.accepted_in == self.turn for item in self._accepted)

    def _named_again(self, clause: str) -> list[_Item]:
        """What was refused or taken back and is wanted now: "put it back", "the support plan after all"."""
        if not _AGAIN.search(clause):
            return []
        return _by_words(label(clause), self._gone) or self._gone[-1:]

    def _refuse(self, clause: str) -> None:
        if self.asked in {AgentAct.OTHER, AgentAct.ASK, AgentAct.CANCEL}:
            return
        words = label(clause)
        named = _by_words(words, [*self._on_table, *(i for i in self._accepted if i.accepted_in == self.turn)])
        if named:
            for item in named:
                item.state = _State.REFUSED
        elif not (words and any(item.accepted_in == self.turn for item in self._accepted)):
            self._take_back_this_turn()
            for item in self.focus:
                if item.state is _State.OPEN:
                    item.state = _State.REFUSED

    def _hear_of(self, clause: str) -> None:
        """What the customer speaks of: "that one" will mean it, and a price may be what it is called by.

        A bare name in answer to an offer is a choice: "just the charger", "the blue one then".
        """
        words = label(clause)
        if spoken_of := _by_words(words, self._on_table):
            self.focus, self.is_either = spoken_of, len(spoken_of) > 1
            is_answer = self.asked in {AgentAct.CLOSE, AgentAct.PROPOSE}
            if is_answer and len(spoken_of) == 1 and _CHOICE.match(clause) and words <= spoken_of[0].words:
                self._accept(spoken_of)
        if (named := prices(clause)) and EXTRA.search(clause):
            vague = [i for i in self._on_table if i.is_extra and i.value is None]
            if vague:
                vague[-1].take_price(named[0])
                vague[-1].words = label(clause)

    # -- changes of state ------------------------------------------------------------------------------------------

    @property
    def _accepted(self) -> list[_Item]:
        """In the order in which they were accepted."""
        return sorted((i for i in self.items if i.state is _State.ACCEPTED), key=lambda item: item.accepted_in)

    @property
    def _is_sold(self) -> bool:
        return any(item.state is _State.ACCEPTED for item in self.items)

    @property
    def _gone(self) -> list[_Item]:
        return [item for item in self.items if item.state in {_State.REFUSED, _State.REVERSED}]

    @property
    def _on_table(self) -> list[_Item]:
        return [item for item in self.items if item.state is _State.OPEN]

    def _accept(self, items: Iterable[_Item]) -> None:
        for item in items:
            item.state, item.accepted_in, item.counter = _State.ACCEPTED, self.turn, None

    def _reverse(self, items: Iterable[_Item]) -> None:
        """Taken back in the turn in which it was agreed, it was never agreed."""
        for item in items:
            item.state = _State.OPEN if item.accepted_in == self.turn else _State.REVERSED

    def _take_back_this_turn(self) -> None:
        self._reverse([item for item in self._accepted if item.accepted_in == self.turn])
        for item in self.items:
            if item.state is _State.WISHED and item.turn == self.turn:
                item.state = _State.REFUSED

    def _reverse_named(self, clause: str) -> None:
        accepted = self._accepted
        words = label(clause)
        if _ALL.search(clause):
            self._reverse(accepted)
        elif named := _by_words(words, accepted):
            self._reverse(named)
        elif not (words and self._is_said_already):  # what was never sold cannot be dropped
            self._reverse(accepted[-1:])
        if not accepted:
            self._refuse(clause)

    def _settle_waver(self) -> None:
        """Wavering ("I changed my mind") takes the last sale back, unless the turn says itself what changed."""
        if any(item.accepted_in == self.turn or item.state is _State.REVERSED for item in self.items):
            return
        self._reverse(self._accepted[-1:])

    # -- the end ---------------------------------------------------------------------------------------------------

    def result(self) -> Sales:
        """What stands at the end of the call."""
        extras = [item for item in self.items if item.is_extra and item.value is not None]
        extras.sort(key=lambda item: item.state is not _State.ACCEPTED)
        sums = []
        for currency in dict.fromkeys(item.currency for item in extras):
            mine = [item for item in extras if item.currency == currency]
            sums.append(
                Sums(
                    currency,
                    _total(mine),
                    _total(i for i in mine if i.state is _State.ACCEPTED),
                    _total(i for i in mine if i.state is _State.REVERSED),
                )
            )
        return Sales(self._is_sold, len(self.items), tuple(sums))


def _total(items: Iterable[_Item]) -> Decimal:
    return sum((item.value for item in items if item.value is not None), NOTHING)


def _by_words(words: frozenset[str], items: Sequence[_Item]) -> list[_Item]:
    """Items that the words name: by a word that no other item shares, else the one item that shares any."""
    named = [item for item in items if item.words & words]
    if len(named) < 2:
        return named
    return [
        item
        for item in named
        if (item.words & words) - frozenset[str]().union(*(other.words for other in items if other is not item))
    ]


def _by_place(clause: str, items: Sequence[_Item]) -> list[_Item]:
    """What "the second one" or "the cheaper one" is."""
    if len(items) < 2:
        return []
    for word, place in _PLACES.items():
        if re.search(rf"\b{word}(?: one)?\b", clause) and -1 <= place < len(items):
            return [items[place]]
    priced = [item for item in items if item.value is not None]
    if priced and _CHEAP.search(clause):
        return [min(priced, key=lambda item: item.value or NOTHING)]
    if priced and _DEAR.search(clause):
        return [max(priced, key=lambda item: item.value or NOTHING)]
    return []
