"""What a single sentence or clause of a sales talk does: offers, asks, agrees, refuses, takes back.

Belongs here: words. Does not belong here: what was said before (``sales`` follows that).

All patterns read cleaned text (``cleaning``): lower case, no contractions. An act is what the words do by themselves;
whether a "yes" answers an offer is for the state machine to say.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto

from voiceai_assets.transcripts.amounts import Amount, amounts


class AgentAct(Enum):
    """What a sentence of the agent does."""

    CLOSE = auto()  # asks whether the customer buys
    PROPOSE = auto()  # names something that can be bought
    CANCEL = auto()  # asks whether to cancel
    OTHER = auto()  # asks something else: "can you hear me?"
    ASK = auto()  # asks what only the sentences around it explain: after an offer, whether it is wanted
    DONE = auto()  # says that it is booked, added, agreed
    REFUSE = auto()  # cannot do it, or it failed
    TELL = auto()  # anything else


class CustomerAct(Enum):
    """What a clause of the customer does."""

    ORDER = auto()  # agrees in words that need no question: "I'll take it"
    YES = auto()  # agrees to what was asked or offered
    BID = auto()  # an imperative: in answer to an offer it agrees ("put it on"), anywhere else it asks for something
    FINE = auto()  # agrees to what was asked; to a mere statement it only shows that somebody listens
    NO = auto()
    REVERSE = auto()  # takes back, naming what: "remove the warranty"
    WAVER = auto()  # takes back if there is anything to take back: "I changed my mind"
    KEEP = auto()  # "don't cancel it"
    HESITATE = auto()  # not now: conditions, second thoughts, other people to ask
    ASK_PRICE = auto()
    TELL = auto()


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.ASCII)


# -- cutting -----------------------------------------------------------------------------------------------------------

_SENTENCE = re.compile(r"(?<=[?!;])\s*|(?<=\.)(?!\d)\s*|\n+", re.ASCII)
_VERBS = (
    "i|we|you|it|do|not|no|please|cancel|remove|take|drop|skip|leave|add|include|book|order|reserve|upgrade|keep|"
    "let|sign|then|also|maybe|forget|put|hold"
)
_CLAUSE = re.compile(
    rf"(?<!\d),\s*|,\s+|\s+(?:-|–|—|\.\.+|…)\s+|\.{{2,}}\s*|…\s*|\s+(?=(?:but|however|although|though|except)\b)"
    rf"|\s+and\s+(?=(?:{_VERBS})\b)|\s+(?:because|since)\s+",
    re.ASCII,
)


def sentences(text: str) -> list[str]:
    """Sentences with their punctuation; a full stop inside a figure ends nothing."""
    return [part.strip() for part in _SENTENCE.split(text) if part and part.strip(" .!?;,")]


def clauses(sentence: str) -> list[str]:
    """Parts of a sentence that can each do something of their own."""
    return [part.strip(" .,!;") for part in _CLAUSE.split(sentence) if part and part.strip(" .,!;?")]


# -- what is sold ------------------------------------------------------------------------------------------------------

#: What makes an offer an extra to something: upgrades, add-ons, cover.
EXTRA = _any(
    r"\b(?:extras?|additional(?:ly)?|upgrades?|upgrading|premium|add-?ons?|extended|warrant(?:y|ies)|insurance"
    r"|support)\b",
    r"\b(?:protection|cover(?:age)?|priority|express|deluxe|gold|silver|platinum|pro|professional|tier|bundles?)\b",
    r"\b(?:installation|maintenance|accessor(?:y|ies)|package|add|include|more|options?|on top|go(?:es)? (?:well "
    r"|nicely )?with)\b",
)
#: Words that name nothing, in the label of an item.
_EMPTY = frozenset(
    "a an the this that these those it its is are was be for of to in on at with by from or and either both one ones "
    "i you we us me my your our they them he she his her there here what which who how when where why so as if only "
    "just now then also too not no yes ok okay sure please thanks thank great perfect excellent wonderful right well "
    "would could should can may might will shall do does did have has had am get got like want need take add include "
    "offer offers interest interested interesting book order buy go ahead proceed sign up let make give put more extra "
    "additional additionally some any few several options option today per month year week day once each available "
    "costs cost price priced hello hi sir madam else anything something free very really about into out off over "
    "think know see i'm all best new another him mind leave keep cancel remove delete drop undo scrap withdraw"
    " forget again"
    " actually changed wait stop longer any anymore".split()
)
_WORD = re.compile(r"[a-z][a-z'-]+", re.ASCII)


def label(text: str) -> frozenset[str]:
    """Words that tell one thing on sale from another: "the extended warranty" is {extended, warranty}."""
    return frozenset(word.rstrip("'") for word in _WORD.findall(text)) - _EMPTY


_NO_PRICE_BEFORE = _any(
    r"\b(?:total|totals|altogether|balance|sav(?:e|es|ed|ing)|discount|refund(?:ed)?|credit|owe|owing|due|charged|paid"
    r"|invoice|bill|was|were|from|instead of|usually|normally|used to be|regular(?:ly)?|down from|rather than|deposit"
    r"|between|up to)\b[^.,;]{0,24}$"
)
_NO_PRICE_AFTER = _any(r"^ (?:off|discount|refund|credit|less|cheaper|voucher)\b")


def prices(sentence: str) -> list[Amount]:
    """Sums that a sentence asks for: not totals, discounts, refunds, or what something used to cost."""
    found = []
    start = 0
    for amount in amounts(sentence):
        before, after = sentence[start : amount.start], sentence[amount.end :]
        if not _NO_PRICE_BEFORE.search(before) and not _NO_PRICE_AFTER.search(after):
            found.append(amount)
        start = amount.end
    return found


# -- the agent ---------------------------------------------------------------------------------------------------------

_OLD = _any(
    r"\b(?:i see (?:that )?you|you (?:already |once )?(?:said|told|had|have had|chose|bought|took)"
    r"|last (?:year|time|month|week)|previously|in the past|years? ago|months? ago)\b"
)
_AGENT_CANCEL = _any(
    r"\b(?:shall|should|do|would|want|can|may)\b[^?]{0,80}\b(?:cancel|remove|undo|take [^?]{1,30} off|withdraw)\b",
    r"\bare you sure\b[^?]{0,80}\b(?:cancel|remove)\b",
)
_AGENT_OTHER = _any(
    r"\b(?:anything|something) else\b",
    r"\b(?:would|do) you (?:like|want|prefer)(?: me)? (?:to )?(?:me )?(?:hear|know|hold|speak|talk|think|wait"
    r"|explain|call"
    r"|send|check|repeat|see|discuss|leave)\b",
    r"\b(?:how|where|when|what|why|who)\b (?!if|about|do you say)",
    r"\bcan (?:i|you) (?:help|have|hear|ask|confirm|tell|explain|check|see|give|call|speak|please)\b",
    r"\bis (?:this|that|it) (?:your|the|correct|right)\b",
)
_BUY = (
    r"(?:proceed|go ahead|book|sign|enrol|enroll|order|buy|purchase|add|include|upgrade|take|get started|start|move"
    r" forward|subscribe|schedule|reserve|renew|place|complete|finali[sz]e|set (?:it|that|this|you) up|secure|lock|put"
    r" (?:you|it|that|this)|charge|join|extend|prolong|hold|arrange|deliver|open|prepare|activate|switch|do (?:it"
    r"|that|this)|continue|confirm|try|have|be interested)"
)
_AGENT_CLOSE = _any(
    rf"\b(?:shall|should|may|can|could|might) (?:i|we) (?:\w+ )?{_BUY}\b",
    rf"\b(?:would|do) you (?:\w+ )?(?:like|want|wish|prefer|care)\b(?:[^?]{{0,80}} {_BUY}\b| (?:it|that|this|one|them"
    rf"|either|both"
    r"|the|a|an|some|our|breakfast|lunch|dinner|to)\b|\?| \w+ for )",
    r"\bare you (?:\w+ )?(?:ready|happy|willing|prepared) (?:to|for)\b|^(?:so |then )*ready (?:to|for)\b|\bready\?",
    r"\b(?:does|would|will|could) (?:that|this|it) (?:\w+ )?(?:work|suit|help|fit|do|interest|be (?:ok|okay|fine"
    r"|good|all"
    r" right))\b|\bare you interested\b|\binterested\?|\bcan i interest you\b|\binterest you in\b",
    rf"\bdo we have a deal\b|\bhow about\b|\bwhat do you say\b|\b(?:shall|should) (?:i|we)\b(?! (?:call|send|explain"
    rf"|repeat|check|wait|tell|read|transfer|connect|say|look))|\bwill you {_BUY}\b",
    r"\bwhich (?:one|of (?:these|them|the two))?\b[^?]{0,80}\b(?:would|do|shall|should)\b",
    r"\bi (?:will|am going to) (?:just |now )?(?:sign|book|add|put|enrol|reserve|upgrade"
    r"|order)\b[^?.!]{0,80}\b(?:right now|then|now)\b",
    r"\b(?:okay|ok|alright|right|deal)\?$",
)
_AGENT_PROPOSE = _any(
    r"\b(?:we|i) (?:also |now |can |could |do )*(?:offer|have|include|add|upgrade|recommend|suggest|do)\b",
    r"\byou (?:can|could|might|may) (?:also )?(?:add|upgrade|get|have|take|choose|switch|include)\b",
    r"\bthere (?:is|are)\b|\bavailable\b|\bcomes? (?:at|to|with)\b|\bfor (?:just|only|an extra|an additional)\b",
)
_AGENT_CAN = _any(rf"\b(?:i|we) (?:can|could) (?:\w+ )?{_BUY}\b")
_AGENT_DONE = _any(
    r"\b(?:booked|done|confirmed|all set|ordered|reserved|added|signed up|enrolled|scheduled|deal|agreed|subscribed"
    r"|upgraded|activated|registered)\b",
    r"\bi (?:will|have|can) (?:just |now )?(?:add|added|book|put|place|do|sign|reserve|order|include|make)\b",
)
_AGENT_REFUSE = _any(
    r"\b(?:unfortunately|sold out|out of stock|not available|unavailable|declined|did not go through|failed"
    r"|not possible|cannot|unable|afraid)\b"
)
_ALTERNATIVES = _any(r"\b(?:or|either|which)\b")


def agent_act(sentence: str) -> AgentAct:
    """What a cleaned sentence of the agent does."""
    return next((act for act, holds in _AGENT_RULES if holds(sentence)), AgentAct.TELL)


def _sells(sentence: str) -> bool:
    return "?" in sentence and EXTRA.search(sentence) is not None and bool(amounts(sentence))


def _proposes(sentence: str) -> bool:
    is_extra = _AGENT_PROPOSE.search(sentence) and EXTRA.search(sentence)
    return bool(prices(sentence) or is_extra or _AGENT_CAN.search(sentence))


#: The first that holds decides.
_AGENT_RULES: tuple[tuple[AgentAct, Callable[[str], object]], ...] = (
    (AgentAct.TELL, _OLD.search),
    (AgentAct.CANCEL, _AGENT_CANCEL.search),
    (AgentAct.OTHER, lambda s: _AGENT_OTHER.search(s) and not re.search(r"\bwhich\b", s)),
    (AgentAct.REFUSE, lambda s: "?" not in s and _AGENT_REFUSE.search(s)),
    (AgentAct.CLOSE, lambda s: _AGENT_CLOSE.search(s) or _sells(s)),
    (AgentAct.ASK, lambda s: "?" in s),
    (AgentAct.DONE, lambda s: _AGENT_DONE.search(s) and not prices(s)),
    (AgentAct.PROPOSE, _proposes),
)


def names_alternatives(sentence: str) -> bool:
    """Whether it offers one thing or another, so that "yes" does not say which."""
    return _ALTERNATIVES.search(sentence) is not None


# -- the customer ------------------------------------------------------------------------------------------------------

#: Sayings whose words mean the opposite of what they do.
_SAYINGS = (
    (_any(r"\b(?:i do not see|i see no reason) why not\b|\bwhy not\b|\bcannot say no(?: to (?:that|it"
    r"|this))?\b"), "yes"),
    (_any(r"\bno (?:problem|worries|doubt|question about it|issue)s?\b|\bnot a problem\b|\bi cannot wait\b"), "yes"),
    (_any(r"\bi would not say no\b|\bi do not mind\b|\bcannot (?:go wrong|argue) with that\b|\byou bet\b"), "yes"),
    (_any(r"\bwhen (?:pigs|hell)\b.*|\bin your dreams\b|\bfat chance\b|\bover my dead body\b|\bno way\b"), "no"),
    (_any(r"\b(?:not )?in a million years\b|\bhard pass\b|\bi will pass\b|\bi am good\b|\bi am (?:all"
    r"|quite) set\b"), "no"),
)  # fmt: skip
_SARCASM = _any(
    r"\byeah right\b|\byeah,? right\b|\bas if\b|\boh (?:sure|great|yes|yeah|of course)\b.{0,80}\b(?:because|another"
    r"|again)\b",
    r"\bsure,? because\b|\bi (?:just )?(?:love|adore) (?:paying|throwing|wasting|spending|being|waiting)\b",
    r"\bsign me up for (?:another|more)\b.{0,80}\b(?:hour|dropped|waiting|hold|misery|trouble|calls)\b",
)
_REPORTED = _any(
    r"\b(?:he|she|they|you|wife|husband|partner|sister|brother|mother|father|mom|dad|boss|friend|neighbou?r|colleague"
    r"|somebody|someone|everybody|people|son|daughter|agent)s? (?:\w+ )?(?:said|says|told|tells|claimed|promised"
    r"|asked)\b"
)
_CONDITION = _any(
    r"(?<!even )(?<!as )(?<!wonder )\bif\b|\bunless\b|\bprovided\b|\bas long as\b|\bassuming\b|\bdepend(?:s|ing)\b",
    r"\b(?:once|when|after|until|before) (?:i|we|my|you|payday)\b|\bin case\b",
)
_HESITATE = _any(
    r"\b(?:let me|i (?:will|need to|have to|want to|would like to|must|should)) (?:first )?(?:think|sleep|check"
    r"|see|ask|talk"
    r"|speak|discuss|consider|look|consult|compare|read)\b",
    r"\b(?:get back to|call) you\b|\b(?:call|ring|phone|come|write) back\b|\blet you know\b|\bnot (?:sure|certain"
    r"|convinced|yet|ready|now|today"
    r"|this time|right now|for now)\b|\b(?:cannot|can not|unable to) (?:decide|commit|say)\b",
    r"\b(?:maybe|perhaps|might|possibly|probably|another (?:time|day)|next (?:time|month|year|week)|some other time)\b",
    r"\bi (?:do not|am not) know\b|\bhold on\b|\bthink (?:about|it over|it through)\b|\btalk to my\b|\bsleep on it\b",
    r"\bi would (?:consider|have)\b",
)
_PRICE = _any(
    r"\bhow much\b|\bwhat (?:would|does|do|is|will)\b.{0,80}\b(?:cost|price|charge|fee)|\bpay\b|\bexpensive\b"
    r"|\bcosts?\b|\bprice\b"
)
_QUESTION = re.compile(
    r"^(?:and |so |but |well |okay |ok )*(?:how|what|when|where|which|who|why|is|are|was|does|do|did|can|could"
    r"|would|will"
    r"|should|may|has|have) (?!you please\b)",
    re.ASCII,
)
_REQUEST = _any(
    r"\b(?:can|could|would|will) you (?:please |just |also |then |go ahead and )*(?P<what>add|book|include|sign|upgrade"
    r"|order|put|reserve|place|renew|enrol|cancel|remove|take)\b(?! off\b)",
    r"\b(?:can|could|may) i (?:please |just |also |then )*(?:have|get|take|book|order|add|buy) (?:it|that|one"
    r"|both|them|the)\b",
)
_SUBJECT = r"(?:and |then |well |okay |ok |yes |so |actually |sure |alright |perfect |great |but )*"
_ADVERB = r"(?:just |then |gladly |definitely |also |actually |happily |really |only |certainly |still )*"
_BUYING = (
    r"(?:take|book|buy|order|purchase|get|have|go (?:with|for|ahead)|sign (?:up|on)|proceed|move forward|join|subscribe"
    r"|enrol|enroll|reserve|upgrade|add|include|do (?:it|that|this)|try it|start|accept|renew|schedule|switch|choose)"
)
_NOT_BUYING = (
    r"(?! (?:a look|my time|some time|back|to (?:think|know|check|see|ask|talk|wait|go)|a (?:question|think|look"
    r"|chance|few)"
    r"|questions?|some (?:questions?|information)|information|doubts|a problem|problems|an? answer|in touch|rid|on with"
    r"|(?:a|an|another|some|more|two|three|five|ten|few)? ?(?:minutes?|seconds?|moments?|hours?|days?|weeks?|time"
    r"|break)"
    r"|my money|a refund|in trouble|no|nothing|enough|already))"
)
_PLEASE = r"(?:please )?(?:just |also |do )?"
#: An order names its object: "order it", "book the tour"; "order number" is none.
_OBJECT = (
    r"(?:it|that|this|these|those|them|me|us|him|her|the|a|an|one|both|all|my|our|in|now|then|please|with|to|for|two)"
)
_ORDER = _any(
    rf"\b(?:i|we) {_ADVERB}(?:will|would like to|want to|would love to|am going to|are going to|would be happy to)"
    rf" {_ADVERB}{_BUYING}\b{_NOT_BUYING}",
    r"\b(?:i|we) (?:would like|want|choose|prefer|take) (?:the|that one|it|both|this one)\b(?! to\b)",
    r"\bi am (?:ready to (?:buy|order|book|proceed|start|sign|go)|sold|in)\b|\bcount (?:me|us) in\b|\bsign (?:me"
    r"|us) up\b",
    r"\bput (?:me|us) (?:down|through|in)\b|\b(?:put|add) (?:it|that|them|those|these) (?:back|in|on|to)\b",
    r"\blet us (?:do|go|get started|proceed|book|order|take|start|move|sign|add|make it|buy)\b",
    rf"^{_SUBJECT}{_PLEASE}(?:add|include|upgrade|throw in|give me|get me|sign me|go (?:ahead|for))\b{_NOT_BUYING}",
    rf"^{_SUBJECT}{_PLEASE}(?:do|take|set|put) (?:it|that|this|them|me|us|the|so"
    rf"|both)\b{_NOT_BUYING}(?! (?:[a-z]+ ){{0,3}}off\b)",
    rf"^{_SUBJECT}{_PLEASE}(?:book|order|reserve|renew|enrol|enroll|place|charge|buy|proceed|subscribe|schedule"
    rf"|activate)"
    rf"(?: {_OBJECT}\b|$){_NOT_BUYING}",
    r"^(?:just )?please (?:do|go)\b|\bgo ahead\b|\bmake it so\b|\bbook (?:me|us|it)(?: in)?\b|\badd (?:that|it)\b",
)
_NEGATION = _any(
    r"\b(?:no|nope|nah|not|never|neither|nor|none|nothing|without|decline|refuse|refusing|hardly|cannot|rather not|stop"
    r"|skip|pass|no thanks|leave it|(?:must|have to) be (?:joking|kidding|mad|crazy)|are you (?:joking|kidding"
    r"|mad|crazy)"
    r"|manage without|do without|give it a miss|not for (?:me|us)|somewhere else|afford|(?:too|that is"
    r"|so) (?:expensive|much|pricey|dear|steep)|instead of|except)\b",
    r"\b(?:i|we) (?:already|just) (?:have|had|got|bought|own|paid)\b|\bi (?:upgraded|bought|took|booked|ordered|got)\b",
)
_HYPOTHETIC = _any(rf"\b(?:i|we) would {_ADVERB}(?:{_BUYING}|pay)\b", r"\bpay\b.{0,80}\bat most\b")
_REVERSAL = _any(
    r"\b(?:cancel|remove|delete|undo|withdraw|drop|scrap)\b|\btake\b.{0,40}\boff\b|\bcall (?:it|that|the \w+) off\b",
    r"\bforget (?:all|everything|about|the|it all|both|both of)\b|\b(?:leave|take) (?:it|that|them"
    r"|the [\w ]{1,30}?) out\b",
    r"\b(?:do not|no longer) (?:want|need)\b.{0,80}\b(?:any ?more|any of|the|after all)\b|\bno longer (?:want|need)\b",
    r"\bdo not (?:book|add|order|place|charge|include|sign|do) (?:it|that|me|the|them|anything)\b",
)
_WAVERS = _any(
    r"\bchanged? my mind\b|\b(?:on )?second thoughts?\b|\bnever ?mind\b|\bforget (?:it|that)\b|\bscratch that\b"
    r"|\bi take that back\b|\bwait no\b|\bno wait\b"
)
_KEEPS = _any(
    r"\b(?:do not|not|never) (?:cancel|remove|delete|drop|take)\b|\bkeep (?:it|that|the|them|both)\b"
    r"|\bleave it (?:in|on)\b"
)
_KEPT_QUESTION = _any(
    r"\b(?:can|could|may|will|would|might) (?:i|we) (?:\w+ )?(?:cancel|remove|return)\b|\bi can (?:\w+ )?cancel\b"
)
_YES = _any(
    r"^(?:hm+ |um+ |uh |oh |well |so |and |then |ah )*(?:yes|yeah|yep|yup|sure|absolutely|definitely|of course"
    r"|certainly"
    r"|please|deal|agreed|by all means|indeed|both|i guess so|i suppose so|why not|(?:you|we) (?:may"
    r"|might) as well|make it|have it your way)\b",
    r"\bi would (?:like|love) (?:that|it|one|to)$|\bthat would be (?:great|lovely|nice|perfect|good)\b",
    r"^i do$|^(?:the|that) (?:first|second|third|last|latter|former|cheaper|bigger|smaller|other|\w+) one\b",
)
_FINE = _any(
    r"^(?:hm+ |um+ |uh |oh |well |so |and |then |ah )*(?:ok|okay|alright|all right|fine|great|perfect|right"
    r"|correct|lovely"
    r"|excellent|wonderful|cool|good|awesome)\b(?! (?:experience|question|point|service|morning|afternoon|evening"
    r"|day))",
    r"\b(?:sounds?|is|would be|works|looks?) (?:\w+ )?(?:good|great|perfect|right|fine|lovely|nice|fair)\b"
    r"|\bworks for me\b",
    r"\bi am interested\b",
)


_AGAINST = {CustomerAct.NO, CustomerAct.REVERSE, CustomerAct.WAVER, CustomerAct.HESITATE}


#: Verbs with which people say what shall be done with an offer.
_BID = re.compile(
    rf"^{_SUBJECT}{_PLEASE}(?:go on|put|switch|move|confirm|make|send|bring|stick|pop|hold|lock|extend|arrange"
    rf"|prepare|set"
    r"|hit|run|open|start|deliver|pencil|get|let us have|let us see it|keep it coming|count|bump|transfer|swap"
    r"|fit|apply)\b"
    r"(?! (?:calling|bothering|lost|off|out|away|real|over yourself|back))",
    re.ASCII,
)


class Said:
    """A cleaned sentence of the customer, and what holds for all of its clauses."""

    def __init__(self, sentence: str) -> None:
        for saying, meaning in _SAYINGS:
            sentence = saying.sub(meaning, sentence)
        self.text = sentence
        self.is_sarcastic = _SARCASM.search(sentence) is not None
        self.is_reported = _REPORTED.search(sentence) is not None
        self.is_conditional = _CONDITION.search(sentence) is not None
        self.is_question = sentence.endswith("?") or _QUESTION.match(sentence) is not None

    def acts(self) -> list[tuple[CustomerAct, str]]:
        """Each clause with what it does."""
        if self.is_sarcastic:
            return [(CustomerAct.NO, self.text)]
        found = [(self._act(clause), clause) for clause in clauses(self.text)]
        if self.is_reported:  # what others agreed to is no sale; what they refused may well be a refusal
            return [(act if act in _AGAINST else CustomerAct.TELL, clause) for act, clause in found]
        return found

    def _act(self, clause: str) -> CustomerAct:
        request = _REQUEST.search(clause)
        if self.is_question and request is None:
            return self._asked(clause)
        if _KEEPS.search(clause):
            return CustomerAct.KEEP
        if _WAVERS.search(clause):
            return CustomerAct.WAVER
        if _REVERSAL.search(clause) and not self.is_conditional and not _KEPT_QUESTION.search(clause):
            return CustomerAct.REVERSE
        if self.is_conditional or _HESITATE.search(clause) or _HYPOTHETIC.search(clause):
            return CustomerAct.HESITATE
        return _agreement(clause, is_request=request is not None)

    def _asked(self, clause: str) -> CustomerAct:
        if _YES.search(clause) and not self.is_conditional and not _PRICE.search(clause):
            return CustomerAct.YES
        return CustomerAct.ASK_PRICE if _PRICE.search(self.text) else CustomerAct.TELL


def _agreement(clause: str, *, is_request: bool) -> CustomerAct:
    if _NEGATION.search(clause):
        return CustomerAct.NO
    if is_request or _ORDER.search(clause):
        return CustomerAct.ORDER
    if _YES.search(clause):
        return CustomerAct.YES
    if _BID.search(clause):
        return CustomerAct.BID
    if _FINE.search(clause):
        return CustomerAct.FINE
    return CustomerAct.TELL
