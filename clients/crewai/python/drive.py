"""CrewAI: a crew of two roles whose LLM is the published alias, and that LLM asked by itself, whole and streamed."""

import os

from said import BASE_URL, KEY, MODEL, call

os.environ.update(OPENAI_API_BASE=BASE_URL, OPENAI_BASE_URL=BASE_URL, OPENAI_API_KEY=KEY)

from crewai import LLM, Agent, Crew, Task

HELLO = "Say hello in one word."
ROLES = ("Greeter", "Reviewer")
ASKED = {"messages": 1, "max_tokens": 16}


def llm(*, stream: bool = False) -> LLM:
    """The LLM of every role, as the runbook has it."""
    return LLM(model=MODEL, custom_openai=True, base_url=BASE_URL, max_tokens=16, max_retries=0, stream=stream)


def finished() -> list[str]:
    """What each role's task came to."""
    agents = [
        Agent(role=role, goal="Greet.", backstory="You greet.", llm=llm(), max_retry_limit=0, verbose=False)
        for role in ROLES
    ]
    tasks = [Task(description=HELLO, expected_output="One word.", agent=agent) for agent in agents]
    done = Crew(agents=agents, tasks=tasks, verbose=False).kickoff()
    return [task.raw for task in done.tasks_output]


call("Crew.kickoff", "chat", {"roles": len(ROLES), "max_tokens": 16}, finished)
call("LLM.call", "chat", ASKED, lambda: llm().call(HELLO))
call("LLM.call (stream=True)", "chat", {**ASKED, "stream": True}, lambda: llm(stream=True).call(HELLO))
