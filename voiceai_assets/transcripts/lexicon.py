"""Words of customer service that a general sentiment lexicon gets wrong, with their valences (-4 to 4, as in VADER).

Belongs here: words and phrases, and what each weighs. Does not belong here: how a score is made of them.

Three kinds. Politeness and the vocabulary of the trade weigh nothing here ("thank you, goodbye", "I'm interested in the
premium plan"). Situations that are bad or good by themselves weigh something though no word of them does ("on hold").
Names of things that sound like feelings weigh nothing ("free trial", "lost card"), because most calls are about them.
"""

from __future__ import annotations

#: In a service call these say nothing about how somebody feels.
NEUTRAL_WORDS = (
    "thank thanks please hello help helping interest interested interesting yes no okay ok sure fine like free share "
    "care secure security premium gold cancel cancelled cancellation refund refunded charge charged debt debit credit "
    "payment pay fee lost lose stop stopped number question questions problem problems issue issues claim claims safe "
    "save saved certain well ready fair important agree agreed want alert fire energy strong natural matter hospital "
    "emergency failed failure error errors fail natural resources warm value values loss miss missed party play prize "
    "promise promised trust wish hope growth drop dropped cut cuts block blocked"
).split()

#: Phrases, as regular expressions over cleaned text: what they weigh together.
PHRASES: tuple[tuple[str, float], ...] = (
    # bad by themselves
    (r"on hold", -2.2),
    (r"wait(?:ed|ing)? (?:all day|for (?:hours|weeks|days|ages|months))", -2.4),
    (r"(?:second|third|fourth|fifth|tenth) time", -1.8),
    (r"over and over|again and again", -1.8),
    (r"every (?:single )?time", -1.6),
    (r"(?:explained|told|asked|called|reported|said) (?:\w+ ){1,6}(?:already|before|again|several times)", -1.6),
    (r"paid for nothing|for nothing", -2.0),
    (r"(?:do|does|did) not (?:even )?(?:listen|answer|bother|understand)", -2.0),
    (r"is (?:now )?gone|has gone|disappeared", -1.4),
    (r"nobody|no one(?= (?:ever |seems |has |calls|answers|picks))", -1.4),
    (r"(?:not|never|nor) (?:\w+ )?(?:working|work|works|worked)", -2.2),
    (r"(?:charged|billed) (?:me )?(?:twice|again|too much)", -2.4),
    (r"(?:money|refund) back", -1.5),
    (r"never agreed to", -1.8),
    (r"keeps? (?:\w+ing|dropping)", -1.8),
    (r"(?:line|call|connection|signal) (?:keeps? |has )?(?:drops?|dropped|dropping|cuts? out)", -2.0),
    (r"broke(?:n)?(?: down)?", -2.0),
    (r"crash(?:es|ed|ing)?", -2.0),
    (
        (
            r"(?:still|yet)? ?(?:has|have|is|was|did|does) (?:still )?not (?:\w+ )?(?:arrived?|solved|fixed|resolved"
            r"|come|show(?:n|ed)? up|delivered|received?)"
        ),
        -2.2,
    ),
    (r"still waiting|still nothing|still no", -2.0),
    (r"transferred (?:from|again|around|between)", -1.8),
    (r"expected (?:better|more)", -2.0),
    (r"waste of (?:time|money)", -2.6),
    (r"too (?:expensive|slow|long|complicated|much)", -1.6),
    (r"takes? so long|so long", -1.4),
    (r"rip-?off", -2.8),
    (r"lost my", -1.8),
    (r"outage", -1.6),
    (r"(?:do|can|could|did) not trust", -2.2),
    (r"sick (?:and tired )?of|fed up|had enough", -2.6),
    (r"could not (?:have )?(?:be|gone|been|go) (?:any )?worse", -3.0),
    (r"not (?:as )?(?:good|what)", -1.8),
    (r"(?:nobody|no one|does not|do not) (?:there )?(?:seems? to |really )?care", -2.2),
    (r"unacceptable", -2.8),
    (r"not acceptable|not good enough", -2.4),
    (r"let (?:me|us) down", -2.2),
    (r"ridiculous|a joke|outrageous", -2.4),
    # good by themselves
    (r"(?:cannot|could not|can not) complain|no complaints", 2.0),
    (r"no (?:problems?|issues?|trouble)(?: at all| so far)?", 1.6),
    (r"runs? smoothly|works? (?:like a charm|perfectly|great|now|again)", 2.2),
    (r"not bad(?: at all)?|is not bad", 1.6),
    (r"sorted (?:that |it |this )?out|sorted it", 1.8),
    (r"(?:is|was|are|been|got|finally) (?:finally |now )?(?:resolved|solved|fixed|sorted)", 2.0),
    (r"(?:could not|cannot) (?:be|have been) (?:happier|better|more pleased)", 3.0),
    (r"exactly what (?:i|we)", 2.2),
    (r"saved (?:my|the) day", 2.6),
    (r"recommend", 1.8),
    (r"could not (?:have )?(?:asked?|wished?|hoped?) for (?:more|better|anything (?:more|better))", 3.0),
    (r"clears? (?:everything|it|that|things) up|cheers", 1.4),
    (r"never (?:had|seen|met) such (?:good|great|nice|friendly|fast)", 3.0),
    (r"easier than|better than|faster than", 1.8),
    (r"that was (?:quick|fast|easy)", 2.0),
    (r"(?:was|is|very|so|really) (?:quick|fast|polite|friendly)", 1.8),
    (r"helpful", 1.8),
    (r"turned out (?:great|well|fine|good)", 2.4),
    (r"what a relief|relieved", 2.2),
    # names of things
    (r"free (?:trial|shipping|delivery|month)", 0.0),
    (r"failed message|error (?:message|code)", 0.0),
    (r"(?:would|i would|want to|i would like) like", 0.0),
    (r"would like", 0.0),
    (r"good(?:bye| bye| morning| afternoon| evening| day)", 0.0),
    (r"sounds? interesting|have a (?:good|great|nice) (?:day|one|evening)", 0.0),
    (r"fair (?:distance|amount|number)", 0.0),
)

#: Praise with which a complaint is opened: "Great, another outage." It weighs nothing when a complaint follows.
IRONIC_OPENING = (
    r"^(?:oh |well |just )*(?:great|wonderful|fantastic|brilliant|lovely|perfect|marvell?ous|excellent|nice)\b,?"
)
COMPLAINT = r"\b(?:(?<=, )now|another|again|just what i needed|of course it|yet again|one more|as always|as usual)\b"
