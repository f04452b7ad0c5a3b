"""A chat flow, as the driver gives it to lfx: Chat Input, OpenAI, Chat Output. Its key is a global variable."""

import os

from lfx.components.input_output import ChatInput, ChatOutput
from lfx.graph import Graph
from lfx_openai.components.openai import OpenAIModelComponent

question = ChatInput()
model = OpenAIModelComponent()
model.set(
    input_value=question.message_response,
    openai_api_base=os.environ["GT_BASE_URL"],
    model_name=os.environ["GT_MODEL"],
    max_tokens=16,
    max_retries=0,
    stream=True,  # as far as somebody listens: lfx run asks for a whole answer all the same
)
graph = Graph(question, ChatOutput().set(input_value=model.text_response))
