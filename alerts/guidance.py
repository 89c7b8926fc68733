"""What an operator reads beside an alert: for every rule its likely causes, what it means, and what is to be done."""

from __future__ import annotations

from typing import NamedTuple


class Guidance(NamedTuple):
    """One rule's cause, consequence and required action, a sentence or two each. A centre's own instructions come first."""

    cause: str
    consequence: str
    action: str


GUIDANCE = {
    "zone.exclusion": Guidance(
        "The wearer is, or was, in a place that the order forbids; rarely a run of wrong fixes near its border.",
        "Someone the zone protects may be in danger, and the order may be breached.",
        "Look at the fixes and their accuracy. Follow the zone's contact plan at once: the protected person, then the police.",
    ),
    "zone.inclusion": Guidance(
        "The wearer left the area that the order keeps him to, or bad reception moved the fixes out of it.",
        "The order may be breached, and the wearer may be on the way elsewhere.",
        "Call the wearer, ask for the reason, check for an authorised absence, and tell the team.",
    ),
    "zone.crossed": Guidance(
        "Two fixes outside the zone are joined by a straight way through it; the wearer may have gone round it.",
        "An entry is possible and is not proved.",
        "Look at the way on the map. Keep it for the record; act on it only together with other findings.",
    ),
    "zone.buffer": Guidance(
        "The wearer is in the ring around a forbidden place.",
        "No breach; an entry may follow within minutes.",
        "Watch the wearer's fixes; prepare the zone's contact plan.",
    ),
    "zone.proximity": Guidance(
        "The wearer's tag and the protected person's are, or were, close to each other; either may have moved.",
        "The protected person may be in danger.",
        "Call the protected person first, then follow the contact plan; look at how fresh both positions are.",
    ),
    "curfew.start": Guidance(
        "The wearer was not at home when the curfew began.",
        "An absence runs; its minutes count.",
        "Call the wearer and the curfew address; note the reason given.",
    ),
    "curfew.late": Guidance(
        "The wearer came home after the curfew had begun.",
        "The minutes away count towards the order's allowance.",
        "Note the reason given; add it to the wearer's record.",
    ),
    "curfew.left": Guidance(
        "The wearer left home during the curfew.",
        "The order may be breached; the wearer's errand is not known.",
        "Call the wearer at once; tell the team where there is no good reason.",
    ),
    "curfew.end": Guidance(
        "The wearer left home during the curfew and was out when it ended.",
        "The minutes away count; nobody saw a return.",
        "Ask for the reason and note it; tell the team.",
    ),
    "curfew.absent": Guidance(
        "The wearer was out for the whole of the curfew.",
        "The order is likely to be breached; the wearer may have gone.",
        "Call the wearer and the curfew address; tell the team the same day.",
    ),
    "curfew.unverified": Guidance(
        "Too few usable fixes came during the curfew: bad reception, an empty battery, or a tag that was kept from reporting.",
        "Nobody can say where the wearer was; the night counts as neither kept nor missed.",
        "Look at the device findings of the time; check the tag, and its reception at the curfew address.",
    ),
    "tag.strap": Guidance(
        "The strap was cut, stretched or opened; a worn strap can say so without anybody's doing.",
        "From now on the fixes show the tag and perhaps not its wearer.",
        "Call the wearer at once and have the strap seen the same day, also where no second message follows. Only a person"
        " closes this.",
    ),
    "tag.case": Guidance(
        "The case was opened or broken, by force or by a knock.",
        "What the tag says may no longer be trusted.",
        "Call the wearer; have the tag seen and changed.",
    ),
    "tag.jamming": Guidance(
        "A jammer, a wrapping that shields the tag, or strong interference nearby.",
        "The wearer's position is not known while it lasts, and it may be meant so.",
        "Call the wearer; compare with other tags nearby; ask where it happens again and again.",
    ),
    "tag.no_contact": Guidance(
        "An empty battery, no mobile coverage, a tag that is switched off, shielded or destroyed, or an outage of the network.",
        "Nothing is known of the wearer since then; positions may come later.",
        "Look for other tags that fell silent with it. Else call the wearer, ask for a charged tag at a window, and visit.",
    ),
    "tag.no_fix": Guidance(
        "The wearer is deep indoors or underground, the antenna is covered, or reception is disturbed.",
        "The tag is awake and nobody can say where.",
        "Call the wearer and ask for a place under open sky; look at where this happens.",
    ),
    "tag.battery_low": Guidance(
        "The tag was not charged for long enough.",
        "It may fall silent within hours.",
        "Remind the wearer to charge it now, by vibration or message.",
    ),
    "tag.battery_critical": Guidance(
        "The tag was not charged although its battery was low.",
        "It may fall silent within the hour.",
        "Call the wearer and stay until charging begins; note what was said.",
    ),
    "tag.battery_dead": Guidance(
        "The battery ran down.",
        "Nothing more comes until the tag is charged.",
        "Call the wearer; treat it as lost contact where nobody answers.",
    ),
    "tag.no_charge": Guidance(
        "The wearer does not charge the tag, is away from the charger, or the charger is faulty.",
        "The battery will run down.",
        "Call the wearer; have the charger changed where it is at fault.",
    ),
    "tag.implausible": Guidance(
        "Wrong fixes: reflections, a mast far away, interference; rarely a forged signal.",
        "The fixes named carry no weight in any decision; they are kept and shown.",
        "Nothing, where it is rare. Have the tag looked at where it happens often.",
    ),
    "tag.clock": Guidance(
        "The tag's clock is ahead, after a reset or without satellites.",
        "The fixes named carry no weight: the times they state cannot be true.",
        "Have the tag set or changed where it goes on.",
    ),
    "tag.fault": Guidance(
        "The tag reports that a part of it has failed, or it was switched off while its battery was well.",
        "What it says until its next good fix is in doubt.",
        "Look up the code; call the wearer where it was switched off; change the tag where it comes again.",
    ),
}
"""By rule."""
