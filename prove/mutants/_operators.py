"""What is changed to make a mutant: those of Cosmic Ray's operators that show something, and four of ours."""

import ast
from collections.abc import Iterator, Mapping

from cosmic_ray import plugins
from cosmic_ray.operators.operator import Example, Operator
from parso.python.tree import PythonNode, ReturnStmt
from parso.tree import NodeOrLeaf

_PROVIDER = "statements"
_COMPARED = ("Eq_NotEq", "NotEq_Eq", "Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt", "Is_IsNot", "IsNot_Is")
_COUNTED = ("Add_Sub", "Sub_Add", "Mul_FloorDiv", "FloorDiv_Mul", "Mod_Mul")
CORE = (
    "AddNot",
    "ExceptionReplacer",
    "ReplaceAndWithOr",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "ReplaceOrWithAnd",
    "ReplaceUnaryOperator_Delete_Not",
    "ZeroIterationForLoop",
    *(f"ReplaceComparisonOperator_{pair}" for pair in _COMPARED),
    *(f"ReplaceBinaryOperator_{pair}" for pair in _COUNTED),
)
"""Of each kind one: the others of it make mutants that the same tests notice. ``|`` only ever joins types here, and a
check that loses its decorator is gone from every plan, which the tests of the plan compare with what it should be."""

Position = tuple[tuple[int, int], tuple[int, int]]


class RemoveStatement(Operator):  # type: ignore[misc] # Cosmic Ray ships no types
    """A statement that only calls or yields (``probe.must(...)``, ``await answer(...)``) does nothing."""

    def mutation_positions(self, node: NodeOrLeaf) -> Iterator[Position]:
        """The statement, where it is one."""
        if _is_statement(node):
            yield node.start_pos, node.end_pos

    def mutate(self, node: PythonNode, index: int) -> PythonNode:
        """The same line with ``pass`` on it."""
        del index
        return _replaced(node, "pass")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """One of each."""
        return (
            Example("probe.must(a, b)\n", "pass\n"),
            Example("async def f():\n    await g()\n", "async def f():\n    pass\n"),
        )


class RemoveReturn(Operator):  # type: ignore[misc] # as above
    """A function that returns before its end goes on."""

    def mutation_positions(self, node: NodeOrLeaf) -> Iterator[Position]:
        """The ``return`` that gives nothing."""
        if node.type == "keyword" and node.value == "return" and not isinstance(node.parent, ReturnStmt):
            yield node.start_pos, node.end_pos

    def mutate(self, node: NodeOrLeaf, index: int) -> NodeOrLeaf:
        """``pass`` in its place."""
        del index
        node.value = "pass"
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """One."""
        return (
            Example("def f():\n    if a:\n        return\n    b()\n", "def f():\n    if a:\n        pass\n    b()\n"),
        )


class LowerNumber(Operator):  # type: ignore[misc] # as above
    """A number is one less; zero is one."""

    def mutation_positions(self, node: NodeOrLeaf) -> Iterator[Position]:
        """The number."""
        if node.type == "number":
            yield node.start_pos, node.end_pos

    def mutate(self, node: NodeOrLeaf, index: int) -> NodeOrLeaf:
        """The other one."""
        del index
        value = ast.literal_eval(node.value)
        node.value = repr(value - 1 if value else 1)
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Both."""
        return Example("x = 3\n", "x = 2\n"), Example("x = 0\n", "x = 1\n")


class InvertTruth(Operator):  # type: ignore[misc] # as above
    """``True`` is ``False``, and the other way round."""

    def mutation_positions(self, node: NodeOrLeaf) -> Iterator[Position]:
        """The word, but where it only guards against mistakes of whoever writes the suite."""
        if node.type == "keyword" and node.value in _INVERTED and not _is_guard(node.parent):
            yield node.start_pos, node.end_pos

    def mutate(self, node: NodeOrLeaf, index: int) -> NodeOrLeaf:
        """The other word."""
        del index
        node.value = _INVERTED[node.value]
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Both."""
        return Example("x = True\n", "x = False\n"), Example("f(a=False)\n", "f(a=True)\n")


_INVERTED = {"True": "False", "False": "True"}
_GUARDS = ("strict", "frozen", "slots", "kw_only")
"""Arguments of zip and dataclass. The code before makes sure that two lists are as long, and mypy that nothing writes
to a value: with such a guard or without it, everything that there is does the same."""

OURS: Mapping[str, type[Operator]] = {
    operator.__name__: operator for operator in (RemoveStatement, RemoveReturn, LowerNumber, InvertTruth)
}


def names() -> tuple[str, ...]:
    """The names of all of them."""
    return (*CORE, *OURS)


def use() -> None:
    """Have Cosmic Ray offer these operators and no others."""
    core = plugins.OPERATOR_PROVIDERS["core"]
    plugins.OPERATOR_PROVIDERS.clear()
    plugins.OPERATOR_PROVIDERS["core"] = {name: core[name] for name in CORE}
    plugins.OPERATOR_PROVIDERS[_PROVIDER] = OURS


def _is_statement(node: NodeOrLeaf) -> bool:
    if node.parent is None or node.parent.type != "simple_stmt":
        return False
    if node.type == "yield_expr":
        return True
    last = node.children[-1] if node.type in {"atom_expr", "power"} else None
    return last is not None and last.type == "trailer" and last.children[0].value == "("


def _is_guard(node: NodeOrLeaf) -> bool:
    return node is not None and node.type == "argument" and node.children[0].value in _GUARDS


def _replaced(node: PythonNode, text: str) -> PythonNode:
    first = node.get_first_leaf()
    first.value = text
    node.children = [first]
    return node
