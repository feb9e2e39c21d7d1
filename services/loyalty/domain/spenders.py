"""Who may spend the points of a pool."""

from __future__ import annotations

from msgspec import structs

from services.loyalty.domain.account import Pool, with_affairs
from services.loyalty.domain.activity import PoolSpendersNamed
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.program import Program
from services.loyalty.domain.refusal import Refusal


def check(draft: Draft, by: str) -> None:
    """Nothing where an account is a member's own, or a pool of which ``by`` may spend.

    Raises:
        Refusal: somebody is named to spend a member's points; or may not spend the pool's.
    """
    pool = draft.affairs.pool
    if pool is None:
        if by:
            raise Refusal("not_a_pool")
        return
    if all(each.member != by for each in pool.members):
        raise Refusal("not_in_pool")
    if not may(draft.program, pool, by):
        raise Refusal("may_not_spend")


def may(program: Program, pool: Pool, member: str) -> bool:
    """Whether a member of a pool may spend its points. Where the programme has no pools any more,
    the owner may, and whom the owner had named.
    """
    how = program.pools.may_spend if program.pools is not None else "named"
    return how == "anyone" or member == pool.owner or (how == "named" and member in pool.spenders)


def told(by: str) -> dict[str, str]:
    """Who spends the points of a pool, as events tell it; nothing of a member's own."""
    return {"spent_by": by} if by else {}


def name(draft: Draft, body: PoolSpendersNamed) -> None:
    """Lets these members spend beside the owner, and no others."""
    pool, terms = draft.affairs.pool, draft.program.pools
    assert pool is not None, "only a pool is asked"
    if terms is None or terms.may_spend != "named":
        raise Refusal("spenders_not_named")
    if body.by != pool.owner:
        raise Refusal("not_the_owner")
    members = {each.member for each in pool.members}
    if strangers := sorted(set(body.spenders) - members):
        raise Refusal("not_in_pool", members=strangers)
    spenders = sorted({*body.spenders} - {pool.owner})
    draft.affairs = with_affairs(draft.affairs, pool=structs.replace(pool, spenders=spenders))
    draft.trace = {"by": body.by}
    draft.announce("loyalty.pool.spenders-named.v1", {"spenders": spenders})
