"""The voice of a chat model: structured answers, tolerantly read, asked for once more when they cannot be."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from cem_rag_app.errors import ChatModelError
from cem_rag_app.persona.rules import Violation
from cem_rag_app.persona.scoring import Candidate
from graphs.calls import call_model
from graphs.persona.answers import content_of, read_answer, refusal_of
from graphs.persona.prompting import broken_text, candidates_text, common_inputs
from graphs.persona.voice import Critique, ModelCall, Plan, TurnInput
from prompts.loader import load_prompt

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

Answer = TypeVar("Answer", bound=BaseModel)
Step = Literal["plan", "generate", "criticise", "repair"]


class Draft(BaseModel):
    """One candidate as a model writes it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    bubbles: tuple[str, ...] = Field(min_length=1, description="The reply, one bubble an item.")

    @field_validator("bubbles", mode="before")
    @classmethod
    def _lines(cls, value: Any) -> Any:
        return value.splitlines() if isinstance(value, str) else value


class ModelVoice:
    """Asks one model to plan, one to write and one to criticise; they may be the same."""

    offline = False

    def __init__(
        self,
        planner: BaseChatModel,
        generator: BaseChatModel,
        critic: BaseChatModel,
        *,
        name: str = "model",
        timeout: float = 60.0,
    ) -> None:
        self.name = name
        self._models: dict[Step, BaseChatModel] = {
            "plan": planner,
            "generate": generator,
            "criticise": critic,
            "repair": generator,
        }
        self._timeout = timeout

    def plan(self, turn: TurnInput) -> Plan:
        """Ask the planner."""
        inputs = common_inputs(turn) | {
            "max_candidates": turn.max_candidates,
            "max_bubbles": turn.rules.max_bubbles,
        }
        return self._ask("plan", turn, inputs, Plan)

    def generate(self, turn: TurnInput, plan: Plan) -> Sequence[Candidate]:
        """Ask the generator for every candidate at once; one that fails is dropped while another succeeds.

        Raises:
            ChatModelError: All of them failed.
        """
        inputs = common_inputs(turn) | {
            "intent": plan.intent,
            "tone": plan.tone,
            "facts": "\n".join(plan.facts),
            "needs_facts": plan.needs_facts,
            "bubbles": plan.bubbles,
            "max_bubble_characters": turn.rules.max_bubble_characters,
        }

        def write(variant: int) -> Candidate | ChatModelError:
            try:
                draft = self._ask("generate", turn, inputs | {"variant": variant}, Draft)
            except ChatModelError as error:
                return error
            return Candidate(draft.bubbles, self.name, ())

        with ThreadPoolExecutor(max_workers=plan.candidates, thread_name_prefix="candidate") as pool:
            written = list(pool.map(write, range(1, plan.candidates + 1)))
        candidates = [each for each in written if isinstance(each, Candidate)]
        if not candidates:
            raise next(each for each in written if isinstance(each, ChatModelError))
        return candidates

    def criticise(self, turn: TurnInput, plan: Plan, candidates: Sequence[Candidate]) -> Critique:
        """Ask the critic."""
        inputs = common_inputs(turn) | {"intent": plan.intent, "candidates": candidates_text(candidates)}
        return self._ask("criticise", turn, inputs, Critique)

    def repair(
        self, turn: TurnInput, plan: Plan, candidate: Candidate, violations: Sequence[Violation]
    ) -> Candidate | None:
        """Ask the generator to say it again within the rules."""
        inputs = common_inputs(turn) | {
            "reply": candidate.text,
            "broken": broken_text(violations),
            "max_bubbles": turn.rules.max_bubbles,
            "max_bubble_characters": turn.rules.max_bubble_characters,
        }
        draft = self._ask("repair", turn, inputs, Draft)
        return Candidate(draft.bubbles, f"{self.name}:repair", candidate.sources)

    def _ask(self, step: Step, turn: TurnInput, inputs: dict[str, Any], schema: type[Answer]) -> Answer:
        """Ask once, and once more when the answer cannot be read."""
        prompt = load_prompt(f"persona/{step}")
        text = prompt.render(**{name: inputs[name] for name in prompt.front.inputs})
        model = self._models[step]
        runnable = _structured(model, schema)
        deadline = time.monotonic() + self._timeout
        problem = ""
        for _ in range(2):
            started = time.monotonic()
            again = f"\n上一次的输出无法读取（{problem}）。只输出一个完整的 JSON 对象。" if problem else ""
            try:
                raw = call_model(runnable, text + again, timeout_seconds=deadline - started)
            except ChatModelError as error:
                turn.note(self._call(step, model, f"error: {error}", started, prompt, None))
                raise
            message = raw["raw"] if isinstance(raw, dict) else raw
            output = content_of(message)
            turn.note(self._call(step, model, output, started, prompt, message))
            refusal = refusal_of(message)
            if refusal:
                raise ChatModelError(
                    f"The chat model declined to answer ({refusal}).", remedy="Say it in other words, or go on."
                )
            # LangChain's own parse is not used: it completes truncated JSON, and half a bubble would be said.
            answer = read_answer(output, schema)
            if isinstance(answer, schema):
                return answer
            problem = str(answer)
        raise ChatModelError(
            f"The chat model's answer cannot be read, twice: {problem}.", remedy="Try again, or choose another model."
        )

    def _call(
        self, step: Step, model: BaseChatModel, output: str, started: float, prompt: Any, message: Any
    ) -> ModelCall:
        usage = getattr(message, "usage_metadata", None) or {}
        return ModelCall(
            step=step,
            model=str(getattr(model, "model", "") or getattr(model, "model_name", "") or self.name),
            output=output,
            seconds=time.monotonic() - started,
            prompt=prompt.front.name,
            prompt_version=prompt.front.version,
            prompt_hash=prompt.digest,
            input_tokens=int(usage.get("input_tokens", 0)),
            output_tokens=int(usage.get("output_tokens", 0)),
        )


def _structured(model: BaseChatModel, schema: type[BaseModel]) -> Any:
    """The model bound to a schema where it knows structured output; as it is where it does not."""
    try:
        return model.with_structured_output(schema, include_raw=True)
    except NotImplementedError:
        return model
