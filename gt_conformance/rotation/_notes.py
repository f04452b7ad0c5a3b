"""What each look after the command comes to, in a sentence, and what to do where a promise is broken."""

from gt_conformance.rotation._account import Account
from gt_conformance.rotation._look import Look, told
from gt_conformance.rotation._value import Phase
from gt_conformance.rotation._watch import Watched
from gt_conformance.vocabulary import Outcome

_DROP_OLD = "Have the tenant drop the old secret at once, from every cache as well."
_TAKE_NEW = "Check that the command prints the secret of this key, and that the tenant takes a new one at once."
_SAME = "Have the tenant keep the key's allowlists and its embedding model over a rotation."
_APART = "Have the tenant keep keys apart: what happens to one must not reach another."
_MAKE_IT_WORK = "Make it work; the next rotation can then show that it is left as it is."
_AGAIN = "Look again once the tenant answers: `gt-conformance run` with the old secret as retired_secret of the key."


def old_secret(account: Account, key: str, old: Watched, grace_s: float) -> bool:
    """Dead within the grace, with the time it took; True where it is."""
    outcome, remedy = Outcome.CONFORMS, ""
    if old.reached_s is not None:
        text = f"the old secret is refused with 401, {old.reached_s:.2f} s after the command ended"
        if old.taken_s is not None:
            text += f"; at {old.taken_s:.2f} s it was still taken"
    elif old.last.taken:
        outcome, remedy = Outcome.VIOLATES, _DROP_OLD
        text = f"the old secret still works {grace_s:g} s after the command ended (--grace)"
    elif old.last.refused:
        outcome, remedy = Outcome.VIOLATES, _DROP_OLD
        text = f"the old secret is refused, but not with 401: {old.last.found}"
    else:
        outcome, remedy = Outcome.BLOCKED, _AGAIN
        text = f"it cannot be told whether the old secret is dead: {old.last.found}"
    return account.note(Phase.AFTER, "old.dead", key, outcome, text, remedy=remedy, look=old.last)


def new_secret(account: Account, key: str, new: Watched, grace_s: float) -> bool:
    """Alive within the grace, with the time it took; True where it is."""
    outcome, remedy = Outcome.CONFORMS, ""
    if new.reached_s is not None:
        text = f"the new secret works, {new.reached_s:.2f} s after the command ended"
    else:
        outcome, remedy = (Outcome.VIOLATES, _TAKE_NEW) if new.last.judged else (Outcome.BLOCKED, _AGAIN)
        text = f"the new secret does not work {grace_s:g} s after the command ended (--grace): {new.last.found}"
    return account.note(Phase.AFTER, "new.works", key, outcome, text, remedy=remedy, look=new.last)


def same(account: Account, probe: str, key: str, was: Look, now: Look) -> None:
    """What was seen before is seen now."""
    outcome, remedy = Outcome.CONFORMS, ""
    if was.seen is None:
        outcome, remedy = Outcome.BLOCKED, _MAKE_IT_WORK
        text = f"{key} has nothing to be compared with: before, it gave {was.found}"
    elif now.seen is None:
        outcome, remedy = (Outcome.VIOLATES, _APART) if now.judged else (Outcome.BLOCKED, _AGAIN)
        text = f"{key} worked before, and now gives {now.found}"
    elif now.seen != was.seen:
        outcome, remedy = Outcome.VIOLATES, _APART if probe == "other.names" else _SAME
        text = f"{key} {_changed(was.seen, now.seen)}"
    else:
        text = f"{key} {'embeds with' if isinstance(now.seen, int) else 'lists'} {told(now.seen)}, as before"
    account.note(Phase.AFTER, probe, key, outcome, text, remedy=remedy, look=now)


def old_at_the_end(account: Account, key: str, look: Look, ended_at: float) -> None:
    """Dead once, dead for good."""
    at = f"{look.answered - ended_at:.2f} s after the command ended"
    outcome, remedy, text = Outcome.CONFORMS, "", f"the old secret is still refused, {at}"
    if look.taken:
        outcome, remedy, text = Outcome.VIOLATES, _DROP_OLD, f"the old secret was refused, and is taken again, {at}"
    elif not look.dead:
        outcome, remedy = Outcome.BLOCKED, _AGAIN
        text = f"it cannot be told whether the old secret is still dead: {look.found}"
    account.note(Phase.AFTER, "old.stays_dead", key, outcome, text, remedy=remedy, look=look)


def old_after_failure(account: Account, key: str, look: Look) -> None:
    """What the old secret's state says about a command that gave no new one. Never more than blocked."""
    if look.taken:
        text = "the old secret still works: the key does not seem to be rotated"
        remedy = "Correct the command, and rotate again."
    elif look.refused:
        text = f"the old secret does not work any more ({look.found}): the key was rotated or revoked"
        remedy = "Take the new secret from where the command stored it; else rotate the key by hand, at the tenant."
    else:
        text = f"it cannot be told whether the old secret still works: {look.found}"
        remedy = "Look again once the tenant answers."
    account.note(Phase.AFTER, "old.state", key, Outcome.BLOCKED, text, remedy=remedy, look=look)


def _changed(was: tuple[str, ...] | int, now: tuple[str, ...] | int) -> str:
    if isinstance(was, int) or isinstance(now, int):
        return f"embeds with {told(now)}; before, with {told(was)}"
    gone, come = (tuple(sorted(set(one) - set(other))) for one, other in ((was, now), (now, was)))
    parts = [f"does not list any more: {told(gone)}"] if gone else []
    return "; ".join([*parts, f"lists now, and did not before: {told(come)}"] if come else parts)
