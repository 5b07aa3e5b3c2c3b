"""What the generated memories are about: twenty topics with their own words.

The phrases of one topic keep to that topic, so that memories cluster by meaning as people's memories do. The
things of all topics are distinct: a noun names its topic, which keeps generated texts unique
(see ``harness.corpus.prose``).
"""

from __future__ import annotations

import msgspec

THINGS_PER_TOPIC = 12
"""Nouns in every topic; equal for all, so that one numbering of the texts serves every topic."""


class Topic(msgspec.Struct, frozen=True):
    """One subject area.

    Attributes:
        name: Short, unique name, stored as ``metadata["topic"]``.
        things: Nouns that follow "the <adjective>"; ``THINGS_PER_TOPIC`` of them, unique over all topics.
        doings: Verb phrases in the base form, to follow "to".
        places: Phrases that say where.
        reasons: Clauses that begin with "because".
    """

    name: str
    things: tuple[str, ...]
    doings: tuple[str, ...]
    places: tuple[str, ...]
    reasons: tuple[str, ...]


def _topic(name: str, *, things: str, doings: str, places: str, reasons: str) -> Topic:
    def split(phrases: str) -> tuple[str, ...]:
        return tuple(phrase.strip() for phrase in phrases.split(";"))

    because = tuple(f"because {reason}" for reason in split(reasons))
    return Topic(name, split(things), split(doings), split(places), because)


TOPICS: tuple[Topic, ...] = (
    _topic(
        "cooking",
        things="sourdough starter; cast-iron pan; bread knife; risotto recipe; pasta machine; spice rack;"
        "pressure cooker; lentil soup; birthday cake; chilli oil; pizza stone; dumpling filling",
        doings="knead the dough overnight; simmer the stock slowly; sharpen the kitchen knives;"
        "toast the cumin;"
        "roast the vegetables first; bake for the whole office; freeze the leftovers; taste before salting",
        places="at the corner bakery; in the small kitchen; at the farmers' market; by the stove",
        reasons="the crust kept burning; two guests are vegetarian; the oven runs hot;garlic upsets the baby",
    ),
    _topic(
        "hiking",
        things="ridge trail; hiking boots; topographic map; mountain hut; rain jacket; trekking poles;"
        "water filter; summit photo; camping stove; sleeping bag; river crossing; bear canister",
        doings="start before sunrise; climb the north side; camp beside the lake; check the avalanche report;"
        "carry less water; follow the red markers; turn back at noon; dry the tent",
        places="above the tree line; near the waterfall; at the trailhead; in the national park",
        reasons="the forecast promised thunder; the bridge was washed away; knees hurt on the descent;"
        "the hut was fully booked",
    ),
    _topic(
        "health",
        things="blood test; migraine diary; physiotherapy plan; allergy tablets; sleep tracker; dentist bill;"
        "flu vaccine; knee brace; reading glasses; iron supplement; yoga mat; hearing check",
        doings="see the specialist; stretch every morning; cut down on coffee; sleep eight hours;"
        "track the heart rate; refill the prescription; book a check-up; rest the left shoulder",
        places="at the clinic; in the waiting room; at the pharmacy; during the consultation",
        reasons="the headaches came back; penicillin causes a rash; the doctor insisted;blood pressure was high",
    ),
    _topic(
        "finance",
        things="savings account; tax return; mortgage offer; credit card; pension statement; index fund;"
        "expense report; insurance policy; student loan; currency transfer; household budget;"
        "share certificate",
        doings="compare the interest rates; file the receipts; pay off the loan early; raise the deductible;"
        "cancel the standing order; rebalance the portfolio; ask the accountant; set money aside each month",
        places="at the bank; in the online portal; with the adviser; at the tax office",
        reasons="the rate goes up in autumn; the refund was late; fees ate the return; a child is on the way",
    ),
    _topic(
        "home",
        things="kitchen tiles; bathroom mirror; garage door; heating boiler; loft insulation; leaking tap;"
        "sofa cover; window blinds; front-door lock; dining table; smoke alarm; washing machine",
        doings="paint the hallway; call the plumber; measure the alcove; sand the floorboards;"
        "bleed the radiators; hang the pictures; move the wardrobe; clear the cellar",
        places="in the spare room; behind the staircase; at the hardware store; on the ground floor",
        reasons="the ceiling shows damp; the landlord agreed; winter is coming; the parents are visiting",
    ),
    _topic(
        "gardening",
        things="tomato seedlings; compost heap; rose bush; greenhouse heater; lawn mower; herb bed;"
        "apple tree;"
        "watering can; slug trap; tulip bulbs; garden shed; raised bed",
        doings="prune the branches; water in the evening; sow the carrots; turn the compost;"
        "mulch the borders;"
        "net the berries; mow less often; repot the basil",
        places="along the south wall; in the greenhouse; at the allotment; under the pear tree",
        reasons="frost killed the first batch; the soil is heavy clay; aphids spread quickly;bees like it there",
    ),
    _topic(
        "travel",
        things="train ticket; passport renewal; window seat; hostel booking; rental car; travel adapter;"
        "night ferry; city map; airport transfer; visa form; carry-on suitcase; walking tour",
        doings="book the flights early; change trains in Vienna; learn a few phrases; pack only hand luggage;"
        "stay near the station; visit the old town; renew the passport; avoid the high season",
        places="at the airport; in Lisbon; on the overnight train; at the border",
        reasons="the connection is tight; the hotel was overbooked; prices double in July;the visa takes weeks",
    ),
    _topic(
        "music",
        things="violin strings; piano lesson; jazz record; concert ticket; guitar pedal; choir rehearsal;"
        "drum kit; setlist draft; vinyl player; cello sonata; studio microphone; festival pass",
        doings="practise the scales; tune down a half step; learn the bridge by ear; record a demo;"
        "play at the open stage; sing the alto part; transcribe the solo; warm up with arpeggios",
        places="at the rehearsal room; in the concert hall; on the main stage; at the record shop",
        reasons="the neighbours complained; the chorus felt rushed; the drummer moved away; the amp hums",
    ),
    _topic(
        "databases",
        things="vector index; query plan; connection pool; replication slot; vacuum schedule;"
        "schema migration;"
        "slow-query log; partial index; backup restore; partition key; lock timeout; materialized view",
        doings="raise the work memory; rebuild the index; analyze the table; batch the inserts;"
        "partition by month; cache the prepared statements; move reads to the replica; test the restore",
        places="on the primary; in the staging cluster; on the read replica; during the maintenance window",
        reasons="autovacuum fell behind; the planner chose a sequential scan; connections ran out;"
        "checkpoints caused spikes",
    ),
    _topic(
        "machine-learning",
        things="embedding model; training run; evaluation set; learning rate; feature store; tokenizer file;"
        "recall curve; labelling queue; inference server; prompt template; drift monitor; ablation table",
        doings="fine-tune the encoder; shuffle the samples; lower the batch size; quantise the weights;"
        "compare against the baseline; log every experiment; hold out a test split; rerank the candidates",
        places="on the GPU cluster; in the notebook; on the held-out set; in the experiment tracker",
        reasons="the loss diverged; labels were noisy; latency mattered more; the gradients vanished",
    ),
    _topic(
        "deployment",
        things="release pipeline; canary rollout; container image; feature flag; load balancer;"
        "incident report;"
        "health check; staging cluster; secret rotation; on-call rota; deployment script; tracing dashboard",
        doings="roll back the release; pin the image digest; page the on-call engineer; drain the node;"
        "raise the memory limit; write the post-mortem; shift traffic gradually; renew the certificate",
        places="in production; behind the proxy; in the second region; on the build server",
        reasons="the health checks flapped; the disk filled up; nobody owned the alert; the rollout stalled",
    ),
    _topic(
        "design",
        things="login screen; colour palette; icon set; onboarding flow; navigation menu; style guide;"
        "checkout form; dark theme; usability study; landing page; font licence; settings dialog",
        doings="shorten the form; raise the contrast; sketch three variants; interview five users;"
        "align the grid; simplify the wording; test with a screen reader; remove the carousel",
        places="in the prototype; on small screens; in the design review; on the whiteboard",
        reasons="people missed the button; the text was too small; the brand changed; users gave up halfway",
    ),
    _topic(
        "hiring",
        things="job advert; interview panel; salary band; reference call; coding exercise; offer letter;"
        "candidate shortlist; probation review; internship scheme; relocation package; career page;"
        "team lunch",
        doings="phone the referees; shorten the process; invite both finalists; rewrite the advert;"
        "ask about remote work; raise the offer; prepare the first week; send the feedback",
        places="in the second interview; at the career fair; on the panel; with the recruiter",
        reasons="two candidates withdrew; the team needs a tester; notice periods are long;the budget was cut",
    ),
    _topic(
        "sales",
        things="renewal quote; discount request; demo account; quarterly forecast; customer referral;"
        "pilot project;"
        "pricing sheet; trade-fair booth; contract draft; sales deck; partner agreement; lost deal",
        doings="call the buyer back; extend the trial; send a revised quote; map the decision makers;"
        "prepare the demo; ask for a referral; log the call; close before the quarter ends",
        places="at the trade fair; on the call; in the pipeline review; at the customer's office",
        reasons="procurement wants three bids; the champion left; a rival undercut us;the budget year ends soon",
    ),
    _topic(
        "support",
        things="refund ticket; login problem; escalation path; warranty claim; chat transcript;"
        "error screenshot;"
        "service agreement; replacement part; knowledge article; bug workaround; satisfaction survey;"
        "delayed parcel",
        doings="reproduce the error; apologise to the customer; escalate to engineering; merge the tickets;"
        "offer a replacement; reset the password; update the help page; follow up on Friday",
        places="in the ticket queue; over live chat; on the hotline; at the help desk",
        reasons="the fix did not last; the parcel never arrived; the manual is wrong;the customer waited days",
    ),
    _topic(
        "education",
        things="thesis chapter; reading list; chemistry homework; exam timetable; scholarship form;"
        "lab report;"
        "group presentation; maths tutor; language course; library book; seminar paper; school trip",
        doings="revise the proofs; cite the sources; join a study group; ask the supervisor;"
        "memorise the verbs;"
        "hand in the essay; redo the experiment; summarise each chapter",
        places="in the lecture hall; at the library; during office hours; in the chemistry lab",
        reasons="the deadline moved forward; the topic was too broad; the exam covers it;the grades came out",
    ),
    _topic(
        "family",
        things="birthday present; bedtime story; school play; family album; baby monitor; swimming lesson;"
        "holiday cottage; wedding invitation; pocket money; toy train; nursery place; grandmother's ring",
        doings="pick up the twins; call grandmother; plan the reunion; read before bed;"
        "bake for the school fair;"
        "sort the old photos; help with the homework; visit the cousins",
        places="at the nursery; around the dinner table; at grandmother's house; at the playground",
        reasons="the twins start school; everyone is home at last; the baby slept badly;an aunt turns eighty",
    ),
    _topic(
        "pets",
        things="dog lead; cat flap; vet appointment; rabbit hutch; aquarium pump; puppy class; parrot cage;"
        "flea treatment; hamster wheel; kitten food; horse saddle; microchip form",
        doings="walk the dog twice; clean the tank; trim the claws; hide the tablet in cheese;"
        "adopt a second cat;"
        "train with treats; brush the coat; keep the rabbit indoors",
        places="at the vet; in the dog park; at the animal shelter; beside the aquarium",
        reasons="the puppy chews everything; the cat lost weight; fireworks scare the dog;the stable is full",
    ),
    _topic(
        "cycling",
        things="road bike; chain lube; helmet strap; saddle bag; brake pads; spare tube; gravel route;"
        "bike rack;"
        "power meter; cargo trailer; front light; cycling jersey",
        doings="true the rear wheel; ride to work; replace the cassette; lower the handlebars;"
        "pump the tyres;"
        "join the Sunday ride; fit mudguards; train for the gran fondo",
        places="along the canal; at the bike shop; on the mountain pass; in the velodrome",
        reasons="the gears kept slipping; the old route floods; a spoke broke; headwinds were brutal",
    ),
    _topic(
        "books",
        things="detective novel; poetry collection; book club pick; audiobook credit; signed copy;"
        "graphic novel;"
        "history paperback; short-story draft; library card; travel memoir; science essay; bookshop voucher",
        doings="finish the trilogy; lend it to a friend; skip the prologue; read aloud;"
        "reread the last chapter;"
        "write a review; join the book club; look up the translator",
        places="at the second-hand bookshop; in the reading group; on the bedside table;at the author's reading",
        reasons="the ending surprised everyone; the translation is clumsy; the print is tiny;critics praised it",
    ),
)
"""All topics, in the order that the seeded draws refer to."""
