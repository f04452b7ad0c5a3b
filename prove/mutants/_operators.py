"""What is changed to make a mutant: those of Cosmic Ray's operators that show something, and two of ours."""

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
    "NumberReplacer",
    "ReplaceAndWithOr",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "ReplaceFalseWithTrue",
    "ReplaceOrWithAnd",
    "ReplaceTrueWithFalse",
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


OURS: Mapping[str, type[Operator]] = {operator.__name__: operator for operator in (RemoveStatement, RemoveReturn)}


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


def _replaced(node: PythonNode, text: str) -> PythonNode:
    first = node.get_first_leaf()
    first.value = text
    node.children = [first]
    return node
