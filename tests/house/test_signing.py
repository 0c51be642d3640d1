"""Who may clear, sign and write an order: one place each."""

import ast
from collections.abc import Iterator

import pytest
from tests.house.repository import relative, scoped, sources, tree_of


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for scope, node in scoped(tree):
        if isinstance(node, ast.Call):
            yield scope, node


def places_of(wanted, tree: ast.AST) -> list[str]:
    return [scope for scope, call in calls(tree) if wanted(call)]


def is_cleared(call: ast.Call) -> bool:
    """Constructs a Cleared: by its name, under a module, or as another class made from it."""
    return ast.unparse(call.func).split(".")[-1] == "Cleared" and bool(call.args or call.keywords)


def is_key_made(call: ast.Call) -> bool:
    return "Ed25519PrivateKey" in ast.unparse(call.func)


def is_signed(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == "sign"


def is_clearance(call: ast.Call) -> bool:
    return ast.unparse(call.func).split(".")[-1] == "Clearance" and bool(call.args or call.keywords)


NOT_ORDERS = {"built.place", "self._built.place"}
"""Where a desk keeps itself; not a way to write."""


def writers(tree: ast.AST) -> list[tuple[str, str]]:
    """Where an order-writing method of something is reached for, called at once or kept for later."""
    return [(scope, ast.unparse(node)) for scope, node in scoped(tree)
            if isinstance(node, ast.Attribute) and node.attr in ("place", "modify")
            and ast.unparse(node) not in NOT_ORDERS]


def where(wanted) -> set[str]:
    return {relative(path) for path in sources() if places_of(wanted, tree_of(path))}


def test_only_the_judge_writes_cleared():
    assert where(is_cleared) == {"gate/judge.py"}


def test_the_judge_writes_cleared_once():
    path = next(path for path in sources("gate") if relative(path) == "gate/judge.py")

    assert places_of(is_cleared, tree_of(path)) == ["judge"]


def test_only_the_clearance_room_makes_keys_signs_and_issues():
    assert where(is_key_made) == {"gate/clearance.py"}
    assert where(is_signed) == {"gate/clearance.py"}
    assert where(is_clearance) == {"gate/clearance.py"}


def test_only_safebroker_writes_through_a_broker_and_only_the_desk_calls_safebroker():
    found = {(relative(path), *place) for path in sources() for place in writers(tree_of(path))}

    far_end = {place for place in found if place[0].startswith("brokers/paper/")}
    assert found - far_end == {
        ("brokers/safe.py", "SafeBroker.place", "self._broker.place"),
        ("brokers/safe.py", "SafeBroker.place", "self._broker.modify"),
        ("runtime/desk.py", "Desk._place", "self._brokers[account].place"),
        ("rescue/act.py", "Act._place", "broker.safe.place"),
        ("simulation/nodes.py", "Narrow.place", "self._safe.place")}       # stands before a real SafeBroker, and slows it
    assert not [place for place in far_end if "broker" in place[2].lower()], "the venue reaches for no broker's door"


def test_each_gate_makes_its_signer_in_one_place():
    found = {relative(path) for path in sources() if places_of(lambda call: ast.unparse(call.func) == "Signer", tree_of(path))}

    assert found == {"runtime/wiring.py", "rescue/run.py"}, "the desk's, and the rescue's for flatten alone"


@pytest.mark.parametrize(("code", "wanted"), [
    ("def f(): return Cleared(sized, order)", is_cleared),
    ("def f(): return verdict.Cleared(sized=s, order=o)", is_cleared),
    ("def f(): return key.sign(body)", is_signed),
    ("def f(): return Ed25519PrivateKey.generate()", is_key_made),
    ("def f(): return Clearance(content, raw)", is_clearance),
])
def test_the_lint_finds(code, wanted):
    assert places_of(wanted, ast.parse(code)) == ["f"]


@pytest.mark.parametrize("code", ["match x:\n    case Cleared(): ...", "isinstance(x, Cleared)", "x: Clearance | None = None"])
def test_naming_a_type_is_not_making_one(code):
    assert not places_of(is_cleared, ast.parse(code)) + places_of(is_clearance, ast.parse(code))


@pytest.mark.parametrize("code", ["async def f(): await self._broker.place(x)", "def f(): return b.modify"])
def test_a_write_is_found_also_where_it_is_only_kept(code):
    assert [scope for scope, _ in writers(ast.parse(code))] == ["f"]
