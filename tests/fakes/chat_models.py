"""Chat models that answer from a script."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field

Script = Callable[[str], str | BaseException]

PLAN = {"intent": "statement", "candidates": 3, "bubbles": 2, "tone": "轻松", "needs_facts": False, "facts": []}


class ScriptedChat(BaseChatModel):
    """Answers each prompt with what the script returns for it; raises what it returns if that is an exception."""

    script: Script
    prompts: list[str] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        prompt = str(messages[-1].content)
        self.prompts.append(prompt)
        answer = self.script(prompt)
        if isinstance(answer, BaseException):
            raise answer
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=answer))])


def step_of(prompt: str) -> str:
    """Which of the four persona prompts this is."""
    marks = {"做计划": "plan", "最后的审稿人": "criticise", "破了硬规则": "repair", "正在微信上回消息": "generate"}
    return next(step for mark, step in marks.items() if mark in prompt)


def answers(
    *,
    plan: str | BaseException | None = None,
    generate: str | BaseException | Script | None = None,
    criticise: str | BaseException | None = None,
    repair: str | BaseException | None = None,
) -> ScriptedChat:
    """A model that answers each step with the given text, and sensibly where none is given."""
    defaults: dict[str, Any] = {
        "plan": json.dumps(PLAN, ensure_ascii=False),
        "generate": '{"bubbles": ["好呀", "那我们走吧"]}',
        "criticise": '{"verdicts": [{"index": 0, "fit": 0.9, "reason": "接得住"}]}',
        "repair": '{"bubbles": ["好呀宝贝"]}',
    }
    given = {"plan": plan, "generate": generate, "criticise": criticise, "repair": repair}

    def script(prompt: str) -> str | BaseException:
        step = step_of(prompt)
        answer = given[step] if given[step] is not None else defaults[step]
        return answer(prompt) if callable(answer) else answer

    return ScriptedChat(script=script)
