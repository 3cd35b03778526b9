"""The nodes of a turn, each a verb: a plain function of the state and the context that returns what it changed."""

from __future__ import annotations

import secrets
import time
import uuid
from dataclasses import replace
from typing import Any

from cem_rag_app.errors import ChatModelError, EmptyInputError, InputError, PersonaError
from cem_rag_app.persona.rules import violations
from cem_rag_app.persona.scoring import Candidate, Evidence, score_candidates
from cem_rag_app.schema import Message, Query
from graphs.persona.enforcement import choose_reply
from graphs.persona.questions import asks, take_apart
from graphs.persona.record import CandidateRecord, HitRecord, TurnRecord
from graphs.persona.state import CHAT_SOURCE, PersonaContext, PersonaState
from graphs.persona.variety import ASKED_FOR, interleaved, varied
from graphs.persona.voice import Critique, ModelCall, TurnInput

MAX_MESSAGE_CHARACTERS = 8_000
CONTEXT_LINES = 6
"""Lines before the message that the query takes along, so that a follow-up finds its subject."""

OFFLINE_QUESTION = 2
"""Times k hits that the offline voice is given for a question."""

SESSION_GAP_SECONDS = 6 * 3600.0
"""After this silence earlier lines are memory, to be recalled, and no longer the conversation one is in."""

CRITICISED = 6
"""Candidates the critic is shown."""

FIT_WEIGHT = 0.6
"""Share of the critic's word in a criticised candidate's total; the rest is the scorer's."""


def remember_message(state: PersonaState, context: PersonaContext) -> dict[str, Any]:
    """Store what the user said, once per turn, before anything can fail."""
    text = state.get("text", "").strip()
    if not text:
        raise EmptyInputError("The message is empty.", remedy="Write something.")
    if len(text) > MAX_MESSAGE_CHARACTERS:
        raise InputError(
            f"The message has {len(text):,} characters; a turn takes {MAX_MESSAGE_CHARACTERS:,}.",
            remedy="Send it in parts, or import it as a document.",
        )
    turn_id = state.get("turn_id") or uuid.uuid4().hex
    now = time.time()
    message = context.memory.remember(
        Message(
            role="user",
            speaker="user",
            text=text,
            timestamp=now,
            conversation=state.get("conversation") or "default",
            source=CHAT_SOURCE,
            source_id=f"{turn_id}:0",
        ),
        turn_id=turn_id,
        position=0,
    )
    update: dict[str, Any] = {
        "turn_id": turn_id,
        "conversation": message.conversation,
        "message": message,
        "started_at": now,
        "nonce": secrets.token_hex(8),
        "calls": [],
    }
    kept = context.memory.record(turn_id)
    if kept is not None:
        # The turn was decided before and may have been torn while its bubbles were stored: say the same again.
        record = TurnRecord.model_validate(kept)
        update |= {"record": record, "reply": record.reply}
    return update


def recall(state: PersonaState, context: PersonaContext) -> dict[str, Any]:
    """Find what this message should wake, leaving out the message itself."""
    message = state["message"]
    limit = context.settings.chat.history_turns
    recent = (
        current_session(
            context.memory.recent(limit, conversation=message.conversation, before_id=message.message_id), message
        )
        if limit
        else ()
    )
    k = context.settings.recall.k
    query = Query(
        text=message.text,
        context="\n".join(line.text for line in recent[-CONTEXT_LINES:]),
        k=ASKED_FOR * k,
        now=message.timestamp,
    )
    found = [context.memory.recall(query)]
    asked = take_apart(message.text)
    about = asked.subject if asks(message.text) else ""
    if about and asked.points:
        # 它 is whatever was named before.
        before = next((line.text for line in reversed(recent) if line.role == "user"), "")
        about = f"{take_apart(before).subject} {about}"
    if about:
        # Questions are alike in their question words; what this one is about is asked for by itself as well.
        found.append(context.memory.recall(replace(query, text=about, context="")))
    # Rules tell the line that answers less well than a model does, and cost nothing to show more lines to.
    wanted = OFFLINE_QUESTION * k if about and context.voice.offline else k
    hits = varied(interleaved(found), wanted, message=message, recent=recent)
    return {"recent": recent, "hits": hits}


def plan(state: PersonaState, context: PersonaContext) -> dict[str, Any]:
    """Let the voice decide what the reply should do, within the rules and the settings."""
    turn, calls = turn_input(state, context)
    planned = context.voice.plan(turn)
    bounded = planned.model_copy(
        update={
            "bubbles": min(planned.bubbles, context.rules.max_bubbles),
            "candidates": min(planned.candidates, context.settings.chat.candidates),
        }
    )
    return {"plan": bounded, "calls": calls}


def generate(state: PersonaState, context: PersonaContext) -> dict[str, Any]:
    """Let the voice propose candidates; empty ones and repetitions of one another are dropped."""
    turn, calls = turn_input(state, context)
    distinct: dict[tuple[str, ...], Candidate] = {}
    for candidate in context.voice.generate(turn, state["plan"]):
        bubbles = tuple(bubble.strip() for bubble in candidate.bubbles if bubble.strip())
        if bubbles:
            distinct.setdefault(bubbles, Candidate(bubbles, candidate.origin, candidate.sources))
    return {"candidates": tuple(distinct.values()), "calls": calls}


def criticise(state: PersonaState, context: PersonaContext) -> dict[str, Any]:
    """Score every candidate, let the voice's critic judge the best ones, and order them."""
    turn, calls = turn_input(state, context)
    candidates = [Candidate(tuple(each.bubbles), each.origin, tuple(each.sources)) for each in state["candidates"]]
    scored = score_candidates(candidates, evidence(state), similarity=context.similarity, profile=context.style)
    order = sorted(range(len(candidates)), key=lambda i: -scored[i].total)
    shown = [candidates[i] for i in order[:CRITICISED]]
    reason = ""
    try:
        critique = context.voice.criticise(turn, state["plan"], shown) if len(shown) > 1 else Critique()
    except ChatModelError as error:
        # The candidates are there and scored; losing the second opinion must not lose the reply. It is on record.
        critique, reason = Critique(), f"The critic failed, the scores decided: {error}"
    judged = []
    for place, index in enumerate(order):
        fit = critique.fit(place) if place < len(shown) else None
        verdict = next((verdict.reason for verdict in critique.verdicts if verdict.index == place), "")
        base = scored[index].total
        judged.append(
            CandidateRecord(
                bubbles=candidates[index].bubbles,
                origin=candidates[index].origin,
                sources=candidates[index].sources,
                parts={
                    "continuity": scored[index].continuity,
                    "style": scored[index].style,
                    "closeness": scored[index].closeness,
                    "consistency": scored[index].consistency,
                    "copying": scored[index].copying,
                    "score": base,
                },
                fit=fit,
                verdict=verdict,
                total=base if fit is None else (1 - FIT_WEIGHT) * base + FIT_WEIGHT * fit,
                broken_rules=tuple(found.rule for found in violations(candidates[index].bubbles, context.rules)),
            )
        )
    # A criticised candidate is never overtaken by one the critic was not shown.
    best_first = sorted(judged[: len(shown)], key=lambda record: -record.total) + judged[len(shown) :]
    return {"judged": tuple(best_first), "reason": reason, "calls": calls}


def enforce(state: PersonaState, context: PersonaContext) -> dict[str, Any]:
    """Choose the reply under the hard rules, last and deterministically, and write the turn's record."""
    turn, calls = turn_input(state, context)
    chosen = choose_reply(
        state["judged"],
        rules=context.rules,
        repair=lambda candidate, broken: context.voice.repair(turn, state["plan"], candidate, broken),
        memory=context.memory,
        recent=state["recent"],
    )
    message = state["message"]
    all_calls = (*state.get("calls", []), *calls)
    record = TurnRecord(
        turn_id=state["turn_id"],
        conversation=message.conversation,
        voice=context.voice.name,
        offline=context.voice.offline,
        started_at=state["started_at"],
        message=message.text,
        hits=tuple(HitRecord.of(hit) for hit in state["hits"]),
        plan=state["plan"],
        calls=all_calls,
        candidates=tuple(state["judged"]),
        reply=chosen.bubbles,
        choice=chosen.choice,
        reason=" ".join(part for part in (chosen.reason, state.get("reason", "")) if part),
        timings=dict(state.get("timings", {})),
    )
    return {"reply": chosen.bubbles, "record": record, "calls": calls}


def remember_reply(state: PersonaState, context: PersonaContext) -> dict[str, Any]:
    """Save the record, then every bubble, each once per turn; a torn turn ends with the words on record."""
    reply = tuple(state["reply"])
    broken = violations(reply, context.rules)
    if broken:
        raise PersonaError(
            f"A reply that breaks a hard rule ({broken[0].rule}) was stopped.", remedy="This is a defect: report it."
        )
    turn_id, message, record = state["turn_id"], state["message"], state["record"]
    if context.memory.record(turn_id) is None:
        context.memory.save_record(turn_id, record.model_dump(mode="json"))
    now = time.time()
    bubbles = tuple(
        context.memory.remember(
            Message(
                role="assistant",
                speaker=context.rules.persona,
                text=text,
                timestamp=now,
                conversation=message.conversation,
                source=CHAT_SOURCE,
                source_id=f"{turn_id}:{position}",
            ),
            turn_id=turn_id,
            position=position,
        )
        for position, text in enumerate(reply, start=1)
    )
    return {"bubbles": bubbles}


def turn_input(state: PersonaState, context: PersonaContext) -> tuple[TurnInput, list[ModelCall]]:
    """What a voice may know of the turn so far, and the list its calls are noted in."""
    calls: list[ModelCall] = []
    preferences = context.memory.get_state("preferences")
    turn = TurnInput(
        turn_id=state["turn_id"],
        message=state["message"],
        hits=tuple(state["hits"]),
        recent=tuple(state["recent"]),
        rules=context.rules,
        style=context.style,
        preferences=tuple(str(wish) for wish in preferences) if isinstance(preferences, list) else (),
        max_candidates=context.settings.chat.candidates,
        nonce=state["nonce"],
        note=calls.append,
    )
    return turn, calls


def evidence(state: PersonaState) -> Evidence:
    """What the turn's candidates are scored against."""
    segments = [hit.segment for hit in state["hits"] if hit.segment is not None]
    return Evidence(
        query=state["message"].text,
        anchors={segment.segment_id: segment.anchor.text for segment in segments},
        replies={segment.segment_id: "\n".join(line.text for line in segment.reply) for segment in segments},
        recent=state["recent"],
    )


def current_session(recent: list[Message], message: Message) -> tuple[Message, ...]:
    """The lines that belong to the conversation one is in: those after the last long silence."""
    kept: list[Message] = []
    later = message.timestamp
    for line in reversed(recent):
        if later - line.timestamp > SESSION_GAP_SECONDS:
            break
        kept.append(line)
        later = line.timestamp
    return tuple(reversed(kept))
