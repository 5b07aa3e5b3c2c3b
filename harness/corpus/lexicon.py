"""The words every topic shares: people, adjectives, what people do with things, and sentence templates.

A template slot is named for what fills it: ``person``, ``first`` (a first name), ``adjective``, ``thing``,
``doing``, ``place``, ``reason``. Sentences in ``ELABORATIONS`` use forms that agree with a singular as with a
plural.
"""

from __future__ import annotations

_FIRST_NAMES = (
    "Aaron Abigail Adaeze Ahmed Aiko Alba Alejandro Amara Amir Anders Anika Anton Aoife Arjun Astrid "
    "Ayesha Beatriz Bjorn Bronwen Camila Carlos Celine Chen Chidi Clara Dalia Daniel Deepa Diego Dmitri "
    "Eilidh Elena Elias Emeka Emma Erik Esther Fatima Felix Fiona Freya Gabriel Giulia Grace Hana Hassan "
    "Helena Henrik Hiroshi Ibrahim Imani Ines Ingrid Isaac Ivan Jamal Jasmine Johanna Jonas Julia Kamal "
    "Karin Kenji Kofi Lars Layla Leila Liam Linh Lucia Magnus Malik Mariam Mateo Mei Mina Nadia Naomi "
    "Nikhil Noor Olga Omar Paolo Priya Rafael Rosa Ruth Samir Sanna Sofia Stefan Tariq Theo Tomas Uma "
    "Viktor Wanjiru Yara Yusuf Zofia "
)

FIRST_NAMES: tuple[str, ...] = tuple(_FIRST_NAMES.split())
"""One hundred given names, each one word."""

_LAST_NAMES = (
    "Abebe Acosta Adeyemi Aguilar Ahlberg Almeida Andersen Aoki Baker Banerjee Barros Becker Bello "
    "Bianchi Blake Boateng Bonnet Brandt Brennan Campos Castillo Chandra Chaudhry Costa Cruz Dahl Danso "
    "Delgado Diallo Dubois Eriksen Espinoza Farouk Fernandes Fischer Flores Fontaine Fraser Fujita "
    "Gallagher Garcia Ghosh Gomes Greene Haas Haddad Hansen Hashimoto Herrera Hoffmann Horvat Hughes "
    "Ibarra Inoue Ivanov Jansen Jensen Joshi Kamau Kapoor Keita Keller Khan Kimura Kowalski Kumar Laine "
    "Larsen Leclerc Lehmann Lindgren Lopez Lund Mahlangu Marin Martel Mbeki Mendes Menon Meyer Moreau "
    "Mori Murphy Nakamura Navarro Nguyen Nielsen Novak Nowak Nwosu Obi Okafor Olsen Ortega Osei Pandey "
    "Park Patel Pereira Petrov Quinn Rahman Ramos Reyes Rossi Sato Schmidt Sharma Silva Singh Sousa "
    "Suzuki Tanaka Torres Vargas Vega Virtanen Weber Yilmaz Zhang "
)

LAST_NAMES: tuple[str, ...] = tuple(_LAST_NAMES.split())
"""One hundred and twenty family names, each one word."""

_ADJECTIVES = (
    "new old small large spare second-hand cheaper expensive shared weekly unfinished favourite broken "
    "repaired borrowed handmade missing extra backup original improved temporary recommended disputed "
    "overdue reliable noisy blue heavy simple modern imported "
)

ADJECTIVES: tuple[str, ...] = tuple(_ADJECTIVES.split())
"""Thirty-two adjectives, each one word, that suit things of any topic."""

KINDS: dict[str, tuple[str, ...]] = {
    "fact": (
        "owns", "keeps", "looks after", "knows all about", "brought in", "already has", "pays for", "set up",
    ),
    "preference": (
        "prefers", "likes", "swears by", "cannot stand", "is fond of", "would rather avoid", "is tired of",
        "loves",
    ),
    "event": (
        "lost", "found", "showed off", "asked about", "had trouble with", "finished with", "tried out",
        "borrowed",
    ),
    "task": (
        "has to replace", "needs to check", "wants to return", "plans to order", "promised to fix", "must "
        "collect",
        "is going to review", "still has to pay for",
    ),
    "decision": (
        "settled on", "chose", "decided against", "gave up on", "agreed to share", "postponed", "switched to",
        "insisted on",
    ),
}  # fmt: skip
"""Kinds of memory, each with eight verb phrases that take a person before and a thing after; all distinct."""

OPENINGS: tuple[str, ...] = (
    "On Monday it came up that", "On Tuesday evening we learned that", "Over lunch it turned out that",
    "During the spring call we heard that", "According to the last email,", "For the record,",
    "As everyone knows by now,", "In the weekly meeting it was said that", "After some discussion,",
    "By the end of March,", "In the group chat it was clear that", "Before the holidays,", "As of this "
    "autumn,",
    "Much to our surprise,", "As agreed in the summer,", "From what we know,", "Since the move,",
    "On the way home it came up that", "At the last minute,", "In passing it was mentioned that",
    "To avoid confusion:", "As noted before,", "After the phone call it was clear that", "This year,",
)  # fmt: skip
"""Openings of a first sentence; each ends where the name of a person can follow."""

ELABORATIONS: tuple[str, ...] = (
    "It would help to {doing} {place}.",
    "The next step is to {doing}.",
    "{first} offered to {doing} {place}.",
    "Last time the {adjective} {thing} did not work out {reason}.",
    "We talked it over {place} and agreed to {doing}.",
    "Nobody wanted to {doing}, {reason}.",
    "In the end the {adjective} {thing} turned out fine.",
    "{first} would still like to {doing} before the month is over.",
    "Please remember to {doing} next time.",
    "There was some doubt about the {adjective} {thing}, mostly {reason}.",
    "A friend had advised {first} to {doing} {reason}.",
    "It took a whole afternoon to {doing}.",
    "The {thing} came up again {place}.",
    "{first} and {other} could not agree whether to {doing}.",
    "That is also why we decided to {doing} first.",
    "Everything else can wait {reason}.",
    "Ask {first} about the {adjective} {thing} {place}.",
    "It cost more than expected to {doing}.",
    "We left the {adjective} {thing} {place}.",
    "{first} sounded relieved, {reason}.",
    "If it happens again, {first} will {doing}.",
    "So far it has been enough to {doing}.",
    "This matters to {first} {reason}.",
    "They met {place} to talk about the {adjective} {thing}.",
)
"""Sentences that may follow the first one, in any order and number."""

QUERIES: tuple[str, ...] = (
    "What did {person} say about the {adjective} {thing}?",
    "Does {person} still have the {adjective} {thing}?",
    "Where did {person} leave the {adjective} {thing}?",
    "Why was {person} unhappy with the {adjective} {thing}?",
    "When did {person} last mention the {adjective} {thing}?",
    "What has {person} decided about the {adjective} {thing}?",
    "Who told {person} about the {adjective} {thing}?",
    "How did {person} deal with the {adjective} {thing}?",
    "Remind me what {person} planned to do with the {adjective} {thing}.",
    "I need everything on {person} and the {adjective} {thing}.",
    "Did {person} ever replace the {adjective} {thing}?",
    "Find what {person} prefers to the {adjective} {thing}.",
    "What is left to do on the {adjective} {thing} for {person}?",
    "Is there a reason for {person} to keep the {adjective} {thing}?",
    "What went wrong for {person} with the {adjective} {thing}?",
    "How much did {person} pay for the {adjective} {thing}?",
)
"""Search texts as people and agents phrase them; distinct slots give distinct texts."""

SOURCES: tuple[str, ...] = ("chat", "email", "meeting", "note", "call")
"""Where a memory came from, stored as ``metadata["source"]``."""
