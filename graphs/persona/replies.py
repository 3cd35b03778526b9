"""Candidates in the person's real words, and how well each answers what was just said.

A reply is taken over whole or in part from an exchange that began like this one. What it says beyond that likeness
(names, numbers, days) counts against it, unless the running conversation speaks of the same: the person's words are
borrowed, yesterday's facts are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cem_rag_app.persona.scoring import Candidate
from cem_rag_app.schema import Message
from graphs.persona.facts import Fact, echo, find_facts
from graphs.persona.habits import Habits, Pair, pairs_of
from graphs.persona.lexicon import grams
from graphs.persona.moods import SAD, celebrates, mood_of
from graphs.persona.phrases import phrases, reacts
from graphs.persona.questions import Question, kind_of, parts, take_apart
from graphs.persona.state import CHAT_SOURCE
from graphs.persona.voice import Plan, TurnInput

TELLING = 0.6
"""Weight from which a letter says something of its own."""

TELLING_LETTERS = 4
"""As many unsupported telling letters make a bubble fully particular."""

FACT_CONFIDENCE = 0.43
NEAR_BEST = 0.8
"""Share of the best line's confidence that a later line needs to be told instead of it."""

LOWER_FACT = 0.85
UNSURE_FIT = 0.42
OPEN_FIT = 0.36
OFTEN = 0.08
FORMULA_FIT = 0.5
"""What a line without content is worth where its kind fits and nothing better is known."""

PARTICULAR_COST = 0.42
OF_A_DAY_COST = 0.15
MOST_PARTICULAR = 0.3
REMOTE_LIKENESS = 0.4
SAME_MOOD = 0.2
SURROUNDED = 0.8
"""What the subject of a question counts where the lines around an exchange hold it and the exchange does not."""

CLOSE = 200
CHANCE = 0.15
"""Likeness that shared particles alone make."""

NEUTRAL_FIT = 0.3
SURPRISED_COST = 0.16
"""What surprise costs where nothing is news; what a line that is nobody's is worth."""

LEAST_FIT = 0.25
"""Below this a safe line is better; the graph says one when nothing is proposed."""

FORMULAS = frozenset({"greeting", "farewell", "thanks", "apology", "affection", "laugh"})
"""Kinds of message that one answers alike whatever else was said."""

PARTINGS = frozenset({"greeting", "farewell"})
MIRRORED = frozenset({"greeting", "farewell", "affection"})
"""Kinds that one answers with the same kind."""
CONTINUED = 0.3
CONTINUED_FROM = 0.15
FOLLOW_UP = 0.6
JUST_SAID = 6
SHORT = 4
CONTINUED_SECONDS = 3_600.0

_OF_A_DAY = re.compile(
    r"今天|明天|昨天|昨晚|今晚|后天|周[一二三四五六日天末]|星期|[\d一二两三四五六七八九十]+点|点半|[\d一二三四五六七八九十]+[号度]|早上|刚"
)
_PROPOSED = re.compile(r"吧\W*$|一起|我们去|咱们|let's", re.IGNORECASE)
_PART_OF_DAY = re.compile(r"早|中午|午|晚")


@dataclass(frozen=True, slots=True)
class Proposal:
    """A candidate and how well it answers, in [0, 1], with the reason in a few words."""

    candidate: Candidate
    fit: float
    reason: str


class Proposer:
    """Makes proposals for one turn from what was recalled and from the person's habits."""

    def __init__(self, habits: Habits, turn: TurnInput, plan: Plan) -> None:
        self._habits = habits
        self._turn = turn
        self._plan = plan
        self._text = turn.message.text
        self._question = take_apart(self._text)
        self._said = {_bare(line.text) for line in turn.recent}
        self._just_said = {_bare(line.text) for line in turn.recent[-JUST_SAID:]}
        self._reacted = {_bare(line.text) for line in turn.recent if line.role == "assistant" and reacts(line.text)}
        self._supported = grams(" ".join([self._text, *(line.text for line in turn.recent)]))
        self._particulars: dict[str, float] = {}
        self._mood = mood_of(self._text)
        proposed = plan.intent == "request" and _PROPOSED.search(self._text)
        wish = "accept" if proposed else "request" if plan.intent == "request" else ""
        self._reaction = self._mood or wish

    def proposals(self) -> list[Proposal]:
        """All proposals, best first, each set of bubbles once; repetitions of what was just said are left out."""
        found: dict[tuple[str, ...], Proposal] = {}
        asks = self._plan.needs_facts
        everything: list[Proposal] = [*self._recombined(), *self._mirrored(), *self._of_no_one()]
        if asks:
            everything += [*self._answers(), *self._unsure()]
        elif self._plan.intent == "question_feeling" and self._question.subject:
            everything += self._answers()
        for proposal in everything:
            bubbles = proposal.candidate.bubbles
            if proposal.fit < LEAST_FIT:
                continue
            if any(self._repeats(bubble) for bubble in bubbles):
                continue
            if bubbles not in found or found[bubbles].fit < proposal.fit:
                found[bubbles] = proposal
        return sorted(found.values(), key=lambda proposal: -proposal.fit)

    def facts(self) -> list[Fact]:
        """Recalled lines that answer the question well enough to rest on."""
        return self._facts(self._question_now(self._question))

    def _question_now(self, question: Question) -> Question:
        """The question with what it only points at: 它, 那家, or nothing at all."""
        if question.asks_back:
            before = [line.text for line in self._turn.recent[-2:]]
            return replace(question, subject=take_apart(" ".join(before)).subject)
        if question.points:
            return replace(question, subject=f"{question.subject} {self._topic()}")
        return question

    def _topic(self) -> str:
        """What the running conversation last spoke of: the most usual telling word of the last line that has one."""
        lexicon = self._habits.lexicon
        for line in reversed(self._turn.recent):
            words = [word for word in lexicon.subject(take_apart(line.text).subject) if len(word) > 1]
            named = [word for word in words if lexicon.known(word) and not _OF_A_DAY.search(word)]
            if line.role == "user" and named:
                return max(named, key=lambda word: (-lexicon.weight(word), word))
        return ""

    def _facts(self, question: Question) -> list[Fact]:
        stretches: list[tuple[int, Sequence[Message]]] = [
            (hit.segment.segment_id, self._earlier(hit.segment.messages))
            for hit in self._turn.hits
            if hit.segment is not None
        ]
        stretches.append((0, self._turn.recent))
        found = find_facts(question, stretches, self._habits.lexicon, self._habits.similarity)
        best = max((fact.confidence for fact in found), default=0.0)
        if best < FACT_CONFIDENCE:
            return []
        return [fact for fact in found if fact.confidence >= min(FACT_CONFIDENCE, NEAR_BEST * best)]

    def _answers(self) -> Iterable[Proposal]:
        asked = parts(self._text)
        if len(asked) > 1:
            yield from self._answers_to_parts(asked)
        for rank, fact in enumerate(self.facts()[:3]):
            # The order of the facts is not for the scorer to change: it knows style, and nothing of what is true.
            fit = (0.3 + 0.7 * fact.confidence) * LOWER_FACT**rank
            sources = (fact.segment_id,) if fact.segment_id else ()
            if fact.line.role == "user":
                habits = self._habits
                told = echo(fact.line.text, self._text, habits.echo_opening, phrases().echo_endings[0])
                yield Proposal(Candidate((told,), "echo", sources), fit, "the user said so")
                continue
            text = fact.line.text.strip()
            yield Proposal(Candidate((text,), "fact", sources), fit, "the person said so")
            if fact.follows and self._plan.bubbles > 1:
                more = fact.follows[0].text.strip()
                fit_both = fit - 0.1 - 0.2 * self._particular(more)
                yield Proposal(Candidate((text, more), "fact", sources), fit_both, "the person said so, and went on")

    def _answers_to_parts(self, asked: Sequence[str]) -> Iterable[Proposal]:
        """One bubble for each of several questions in one message; a later one speaks of what the first one named."""
        first = self._question_now(take_apart(asked[0]))
        bubbles: list[str] = []
        sources: list[int] = []
        confidence = 0.0
        for place, text in enumerate(asked):
            question = take_apart(text)
            subject = question.subject if not place else f"{first.subject} {question.subject}"
            found = self._facts(replace(question, subject=subject, of_person=first.of_person, of_user=first.of_user))
            if found and found[0].line.role == "assistant" and found[0].line.text.strip() not in bubbles:
                bubbles.append(found[0].line.text.strip())
                sources += [found[0].segment_id] if found[0].segment_id else []
                confidence = max(confidence, found[0].confidence)
        if bubbles:
            fit = 0.3 + 0.7 * confidence
            yield Proposal(Candidate(tuple(bubbles), "fact", tuple(sources)), fit, "the person said so")

    def _unsure(self) -> Iterable[Proposal]:
        for place, line in enumerate(self._habits.unsure):
            yield Proposal(Candidate((line,), "unsure", ()), UNSURE_FIT - 0.01 * place, "nothing recalled answers this")

    def _recombined(self) -> Iterable[Proposal]:
        """Whole bursts and parts of them, from recalled exchanges, their neighbours and lines that always go."""
        recalled: dict[int, tuple[int, Pair]] = {}
        around: dict[int, frozenset[str]] = {}
        for hit in self._turn.hits:
            if hit.segment is None:
                continue
            around[hit.segment.segment_id] = grams(" ".join(line.text for line in hit.segment.messages))
            for pair in pairs_of(self._earlier(hit.segment.messages)):
                if all(line.source != CHAT_SOURCE for line in pair.reply):
                    recalled.setdefault(pair.reply[0].message_id, (hit.segment.segment_id, pair))
        continued = self._continued()
        for pair in continued:
            recalled.setdefault(pair.reply[0].message_id, (0, pair))
        for pair in self._habits.pairs:
            recalled.setdefault(pair.reply[0].message_id, (-1, pair))
        chosen = list(recalled.values())
        likeness = self._likeness([pair for _, pair in chosen])
        going_on = {pair.reply[0].message_id for pair in continued}
        for (segment_id, pair), like in zip(chosen, likeness, strict=True):
            follows = pair.reply[0].message_id in going_on
            bonus = 0.0
            if follows and self._question.asks_back:
                bonus = FOLLOW_UP
            elif follows and like >= CONTINUED_FROM:
                bonus = CONTINUED
            yield from self._parts(
                pair, like + bonus * (1 - like), segment_id, around.get(segment_id, frozenset()), remote=segment_id < 0
            )

    def _of_no_one(self) -> Iterable[Proposal]:
        """A few words that are not the person's, for where theirs have nothing that fits."""
        words = phrases()
        if self._mood in SAD:
            lines = words.comfort
        elif self._plan.intent == "request":
            lines = words.accepted if self._reaction == "accept" else words.declined
        elif self._plan.intent == "question_feeling":
            lines = words.well
        else:
            lines = words.acknowledgements if self._plan.intent == "statement" and not self._mood else ()
        for place, line in enumerate(lines):
            yield Proposal(Candidate((line,), "neutral", ()), NEUTRAL_FIT - 0.005 * place, "nothing of their own fits")

    def _mirrored(self) -> Iterable[Proposal]:
        """A greeting for a greeting, a good night for a good night: the person's own lines of the same kind."""
        if self._plan.intent not in MIRRORED:
            return
        lines = self._habits.lines_of_kind(self._plan.intent)
        near = self._habits.similarity([self._text], lines)[0] if lines else ()
        for text, like in zip(lines, near, strict=True):
            if self._of_another_hour(text):
                continue
            fit = FORMULA_FIT + 0.3 * max(0.0, float(like)) - PARTICULAR_COST * self._particular(text)
            fit -= OF_A_DAY_COST * self._of_another_day(text)
            yield Proposal(Candidate((text,), "mirror", ()), fit, f"a {self._plan.intent} for a {self._plan.intent}")

    def _parts(
        self, pair: Pair, like: float, segment_id: int, around: frozenset[str], *, remote: bool
    ) -> Iterable[Proposal]:
        texts = [line.text.strip() for line in pair.reply]
        if self._mood == "grave":
            texts = [text for text in texts if reacts(text, "grave")]
            if not texts:
                return
        kind = kind_of(pair.text)
        same_kind = kind == self._plan.intent
        if remote and like < REMOTE_LIKENESS and not (same_kind and kind in FORMULAS):
            texts = [text for text in texts if reacts(text, self._reaction)]
            if not texts:
                return  # from elsewhere in the history only what says nothing of its own
        mood = mood_of(pair.text)
        if self._mood != mood:
            like *= 0.45 if {self._mood, mood} & SAD else 0.8
        elif mood:
            like += SAME_MOOD * (1 - like)
        if not same_kind:
            like *= 0.8
        sources = (segment_id,) if segment_id > 0 else ()
        asks = self._plan.needs_facts
        if asks:
            about = self._habits.lexicon.subject(self._question.subject)
            if about:
                own = grams(" ".join(line.text for line in (*pair.asked, *pair.reply)))
                lexicon = self._habits.lexicon
                like *= max(lexicon.coverage(about, own), SURROUNDED * lexicon.coverage(about, own | around))
        for start in range(len(texts)):
            for end in range(start + 1, min(len(texts), start + self._plan.bubbles) + 1):
                bubbles = tuple(texts[start:end])
                if self._mood in SAD and mood not in SAD and celebrates(bubbles):
                    continue
                particular = sum(self._particular(text) for text in bubbles) / len(bubbles)
                if remote and particular > MOST_PARTICULAR and like < REMOTE_LIKENESS:
                    continue
                if any(kind_of(text) in PARTINGS and kind_of(text) != self._plan.intent for text in bubbles):
                    continue  # nobody says good night to someone who does not
                if self._plan.intent in PARTINGS and any(self._of_another_hour(text) for text in bubbles):
                    continue
                open_fit = 0.0
                if same_kind and kind in FORMULAS:
                    open_fit = FORMULA_FIT
                elif not asks and all(reacts(text, self._reaction) for text in bubbles):
                    open_fit = self._open_fit(bubbles)
                near = like * (1.0 if start == 0 else 0.88)
                if kind in FORMULAS and particular > MOST_PARTICULAR:
                    near *= 0.5  # everybody laughs and says good night: that it was the same says nothing
                fit = near + (1 - near) * open_fit * (1 - particular)
                # An answer to the same question may be particular; a remark on the same news had better not be.
                fit -= PARTICULAR_COST * particular * (1 - near * (1.0 if asks else 0.6))
                fit -= OF_A_DAY_COST * any(self._of_another_day(text) for text in bubbles)
                fit -= 0.03 * abs(len(bubbles) - self._plan.bubbles)
                yield Proposal(
                    Candidate(bubbles, "burst" if len(bubbles) == len(texts) else "part", sources),
                    max(0.0, min(1.0, fit)),
                    f"answered {pair.asked[-1].text!r} once; like {like:.2f}, particular {particular:.2f}",
                )

    def _likeness(self, pairs: Sequence[Pair]) -> list[float]:
        """How like what was said now is to what each exchange answered, 0 at chance and 1 for the same words."""
        if not pairs:
            return []
        habits = self._habits
        texts = [text for pair in pairs for text in (pair.asked[-1].text, pair.text)]
        near = habits.similarity([self._text], texts)[0].reshape(-1, 2).max(axis=1)
        # The words of the far ones cannot bring them near; comparing them is what takes time.
        close = set(np.argsort(-near, kind="stable")[:CLOSE].tolist())
        out = []
        for at, pair in enumerate(pairs):
            above = max(0.0, (float(near[at]) - habits.noise) / (1 - habits.noise))
            shared = 0.0
            if at in close:
                last = habits.lexicon.overlap(self._text, pair.asked[-1].text)
                shared = last if len(pair.asked) == 1 else max(last, habits.lexicon.overlap(self._text, pair.text))
            both = 0.55 * above + 0.45 * shared
            out.append(max(0.0, min(1.0, (both - CHANCE) / (1 - CHANCE))))
        return out

    def _continued(self) -> list[Pair]:
        """The exchanges that followed, once, what the voice has just said again."""
        habits = self._habits
        last = [line for line in self._turn.recent[-4:] if line.role == "assistant"]
        found = []
        for line in last:
            for number in habits.places.get(line.text.strip(), ())[-1:]:
                if number + 1 < len(habits.pairs):
                    here, later = habits.pairs[number], habits.pairs[number + 1]
                    if later.asked[0].timestamp - here.reply[-1].timestamp < CONTINUED_SECONDS:
                        found.append(later)
        return found

    def _open_fit(self, bubbles: Sequence[str]) -> float:
        """What a line that always goes is worth: more when the person says it often."""
        often = min(len(self._habits.places.get(bubble, ())) for bubble in bubbles)
        fit = OPEN_FIT + OFTEN * min(1.0, (often - 1) / 4)
        news = self._mood == "joy" or any(mark in self._text for mark in "!！")
        surprised = any(bubble.startswith(phrases().surprise) for bubble in bubbles)
        return fit - SURPRISED_COST * (surprised and not news)

    def _repeats(self, bubble: str) -> bool:
        """Whether a bubble was said a moment ago; a short one (晚安, 嗯嗯) may come back after a while."""
        bare = _bare(bubble)
        if reacts(bubble) and any(bare[:2] == said[:2] for said in self._reacted):
            return True  # 真的？ after 真的吗
        return bare in (self._just_said if len(bare) <= SHORT else self._said)

    def _earlier(self, lines: Sequence[Message]) -> list[Message]:
        """Lines without the message that is being answered."""
        return [line for line in lines if line.message_id != self._turn.message.message_id]

    def _particular(self, text: str) -> float:
        """How much a bubble says that nothing in this conversation speaks of, in [0, 1]."""
        known = self._particulars.get(text)
        if known is not None:
            return known
        lexicon = self._habits.lexicon
        own = {letter for letter in text.casefold() if letter.isalnum() and not letter.isascii()}
        own |= {gram for gram in grams(text) if gram.isascii()}
        count = sum(1 for letter in own if letter not in self._supported and lexicon.weight(letter) >= TELLING)
        self._particulars[text] = min(1.0, count / TELLING_LETTERS)
        return self._particulars[text]

    def _of_another_hour(self, text: str) -> bool:
        """Whether a line greets by another hour: no good morning for a good evening."""
        hours = set(_PART_OF_DAY.findall(self._text))
        return bool(hours) and not hours.issuperset(_PART_OF_DAY.findall(text))

    def _of_another_day(self, text: str) -> bool:
        """Whether a bubble names an hour or a day that this conversation does not."""
        return any(not grams(found.group()) <= self._supported for found in _OF_A_DAY.finditer(text))


def _bare(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())
