"""The `loyalty` command: what can be typed, and what runs then.

A command's code is imported when it is typed, so help answers at once. Commands live in
:mod:`services.commands`; each takes the settings and its parsed options.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import uvloop

from services.failures import ENDINGS, REFUSED, USAGE, ending_of, unexpected
from services.settings import Settings, SettingsRefused

Command = Callable[[Settings, argparse.Namespace], Coroutine[Any, Any, int | None]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and answers its exit code; only LOYALTY_DEBUG=1 shows a traceback."""
    options = parser().parse_args(arguments)
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsRefused as refused:
        return _say(str(refused), USAGE.code)
    try:
        return uvloop.run(_command(options.runs)(settings, options)) or 0
    except BrokenPipeError:
        sys.stderr.close()
        return REFUSED.code
    except BaseException as error:  # every ending of every command passes here
        if isinstance(error, SystemExit | GeneratorExit):
            raise
        return _ended(error, debug=settings.debug)


def _command(where: str) -> Command:
    module, _, name = where.partition(":")
    command: Command = getattr(import_module(module), name)
    return command


def _ended(error: BaseException, *, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    if known := ending_of(error):
        ending, line = known
        return _say(line, ending.code)
    return _say(unexpected(error), REFUSED.code)


def _say(line: str, code: int) -> int:
    print(f"loyalty: {line}", file=sys.stderr)
    return code


@dataclass(frozen=True)
class _Adds:
    """Adds commands to a parser, each with one sentence, its options and an example."""

    to: argparse._SubParsersAction[argparse.ArgumentParser]

    def __call__(
        self, name: str, runs: str, purpose: str, *, example: str = ""
    ) -> argparse.ArgumentParser:
        added = _described(self.to, name, purpose, f"example:\n  {example}" if example else "")
        added.set_defaults(runs=f"services.{runs}")
        return added

    def group(self, name: str, purpose: str) -> _Adds:
        """A command that is followed by another."""
        added = _described(self.to, name, purpose, "")
        return _Adds(added.add_subparsers(metavar="COMMAND", required=True, title="commands"))


def _described(
    to: argparse._SubParsersAction[argparse.ArgumentParser], name: str, purpose: str, epilog: str
) -> argparse.ArgumentParser:
    return to.add_parser(
        name,
        help=purpose,
        description=f"{purpose[0].upper()}{purpose[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def parser() -> argparse.ArgumentParser:
    """Everything that can be typed."""
    made = argparse.ArgumentParser(
        prog="loyalty",
        description="A loyalty points service on Kafka and PostgreSQL: points are money.",
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    adds = _Adds(made.add_subparsers(metavar="COMMAND", required=True, title="commands"))
    _add_processes(adds)
    _add_set_up(adds)
    _add_adjustments(adds)
    _add_operations(adds)
    _add_books(adds)
    _add_trying_out(adds)
    return made


def _epilog() -> str:
    codes = "\n".join(f"  {each.code:>3}  {each.meaning}" for each in ENDINGS)
    return (
        "Settings come from LOYALTY_… variables: see `loyalty settings`.\n\n"
        f"exit codes:\n    0  done, or stopped as asked\n{codes}"
    )


def _add_processes(adds: _Adds) -> None:
    serve = adds(
        "serve",
        "commands.processes:serve",
        "answer HTTP requests",
        example="loyalty serve --port 8080",
    )
    run = adds(
        "run",
        "commands.processes:run",
        "serve, work, relay and schedule in one process",
        example="loyalty run            # without settings: on an embedded database and broker",
    )
    for command in (serve, run):
        command.add_argument("--host", help="address to listen on (default: LOYALTY_HTTP_HOST)")
        command.add_argument("--port", type=int, help="its port (default: LOYALTY_HTTP_PORT)")
    work = adds(
        "work",
        "commands.processes:work",
        "take events from Kafka and record what they earn",
        example="loyalty work --lanes 2",
    )
    work.add_argument(
        "--lanes", type=int, help="consumers in this process (default: LOYALTY_WORKER_LANES)"
    )
    adds(
        "relay",
        "commands.processes:relay",
        "publish what was recorded, in order, exactly once",
        example="loyalty relay          # a second one stands by until the first ends",
    )
    adds(
        "schedule",
        "commands.processes:schedule",
        "decide what the clock brings due",
        example="loyalty schedule       # any number may run side by side",
    )


def _add_set_up(adds: _Adds) -> None:
    migrate = adds(
        "migrate",
        "commands.set_up:migrate",
        "bring the database schema and the topics up to this version",
        example="LOYALTY_MIGRATION_DATABASE_URL=postgresql://owner@db/loyalty loyalty migrate",
    )
    migrate.add_argument("--check", action="store_true", help="change nothing; exit 5 if behind")
    keys = adds.group("keys", "make, list and revoke API keys")
    create = keys(
        "create",
        "commands.keys:create",
        "make an API key and print it, this once",
        example="loyalty keys create storefront --scope members:read --scope members:write",
    )
    create.add_argument("name", help="whose key it is")
    create.add_argument(
        "--scope", action="append", metavar="SCOPE", help="what it opens; repeatable; default: all"
    )
    keys(
        "list",
        "commands.keys:show",
        "list keys by id, without their secrets",
        example="loyalty keys list",
    )
    revoke = keys(
        "revoke",
        "commands.keys:revoke",
        "close what a key opens, for good",
        example="loyalty keys revoke 4f0c9a1be237",
    )
    revoke.add_argument("id", help="the key's id, as `keys list` shows it")
    show = adds(
        "settings",
        "commands.set_up:show_settings",
        "print every setting, its value and meaning",
        example="loyalty settings --defaults",
    )
    show.add_argument("--defaults", action="store_true", help="defaults instead of values")


def _add_adjustments(adds: _Adds) -> None:
    adjust = adds(
        "adjust",
        "commands.adjust:adjust",
        "grant or take points by hand, with a reason and a name",
        example='loyalty adjust 17850 -250 --reason goodwill.undone --by "Ann Li"',
    )
    adjust.add_argument("member", help="the member's id")
    adjust.add_argument("points", type=int, help="whole points; a negative number takes")
    adjust.add_argument("--currency", default="points", help="which points (default: %(default)s)")
    adjust.add_argument("--reason", required=True, help="a reason code, kept for ever")
    adjust.add_argument("--by", required=True, help="who answers for it")
    adjust.add_argument("--id", help="a name for it that counts once, however often it is sent")
    approve = adds(
        "approve",
        "commands.adjust:approve",
        "approve or decline an adjustment of somebody else that waits for it",
        example='loyalty approve 17850 case-7 --by "Bo Chen"',
    )
    approve.add_argument("member", help="the member's id")
    approve.add_argument("adjustment", help="the adjustment's id")
    approve.add_argument("--decline", action="store_true", help="drop it instead")
    approve.add_argument("--by", required=True, help="who decides; never who asked")


def _add_operations(adds: _Adds) -> None:
    program = adds.group("program", "check, publish and show the programme")
    check = program(
        "check",
        "commands.program:check",
        "list every mistake of a programme, with place, reason and remedy",
        example="loyalty program check programmes/gift-shop.yaml",
    )
    publish = program(
        "publish",
        "commands.program:publish",
        "publish a programme as a new version, which never changes",
        example='loyalty program publish gift-shop.yaml --by "Ann Li"',
    )
    for command in (check, publish):
        command.add_argument("file", help="the programme, in YAML or JSON; - reads standard input")
    publish.add_argument("--by", default="", help="who publishes (default: the login name)")
    diff = program(
        "diff",
        "commands.drafting:diff",
        "run a draft over real history and say what would have differed; changes nothing",
        example="loyalty program diff draft.yaml --since 2011-03-01",
    )
    diff.add_argument("file", help="the draft, in YAML or JSON; - reads standard input")
    diff.add_argument(
        "--since", required=True, metavar="DATE", help="from which day on the draft judges"
    )
    diff.add_argument("--json", action="store_true", help="print all of it as one JSON object")
    diff.add_argument(
        "--processes", type=int, metavar="N", help="how many share the work (default: one a core)"
    )
    _add_rejudge(program)
    show = program(
        "show",
        "commands.program:show",
        "print a published version, or list them all",
        example="loyalty program show 3",
    )
    show.add_argument("version", type=int, nargs="?", help="which (default: list all)")
    holdout = program(
        "holdout",
        "commands.holdouts:holdout",
        "compare what members spent who get a rule, and whom its holdout leaves out",
        example="loyalty program holdout spring-steps --since 2011-03-01",
    )
    holdout.add_argument("rule", help="a rule, boost or card that has a holdout")
    holdout.add_argument("--since", metavar="DATE", help="first day (default: the holdout's first)")
    holdout.add_argument("--until", metavar="DATE", help="last day (default: the rule's, or today)")
    holdout.add_argument("--json", action="store_true", help="print it as one JSON object")
    tier = adds(
        "tier",
        "commands.tier:give",
        "give a level by hand, with or without an end, or end one that was given",
        example="loyalty tier 17850 gold --until 2012-01-01T00:00:00Z --reason status-match"
        ' --by "Ann Li"',
    )
    tier.add_argument("member", help="the member's id")
    tier.add_argument("level", nargs="?", help="the level (default: end what was given)")
    tier.add_argument("--until", metavar="WHEN", help="its end, in RFC 3339 (default: none)")
    tier.add_argument("--reason", required=True, help="a reason code, kept for ever")
    tier.add_argument("--by", required=True, help="who answers for it")
    tier.add_argument("--id", help="a name for it that counts once, however often it is sent")
    segments = adds(
        "segments",
        "commands.segments:segments",
        "put members into segments, from a CSV file of member_id,segment,starts,ends",
        example="loyalty segments lapsed.csv    # a second time it changes nothing",
    )
    segments.add_argument("file", help="the file; a first line names the columns")
    segments.add_argument("--check", action="store_true", help="check it whole, and take nothing")
    _add_migration(adds)
    extend = adds(
        "extend",
        "commands.longevity:extend",
        "let points expire later, with a reason and a name",
        example='loyalty extend 17850 --until 2011-09-01T00:00:00Z --reason strike --by "Ann Li"',
    )
    extend.add_argument("--expiring-by", help="only points that would expire by that instant")
    reinstate = adds(
        "reinstate",
        "commands.longevity:reinstate",
        "let expired points live again, with a reason and a name",
        example="loyalty reinstate 17850 60 --until 2011-09-01T00:00:00Z --reason goodwill"
        ' --by "Ann Li"',
    )
    reinstate.add_argument("--expired-from", help="only points that expired then or later")
    for command in (extend, reinstate):
        command.add_argument("member", help="the member's id")
        command.add_argument("--until", required=True, help="exclusive end of their life")
        command.add_argument(
            "--currency", default="points", help="which points (default: %(default)s)"
        )
        command.add_argument("--reason", required=True, help="a reason code, kept for ever")
        command.add_argument("--by", required=True, help="who answers for it")
        command.add_argument(
            "--id", help="a name for it that counts once, however often it is sent"
        )
    reinstate.add_argument("points", type=int, nargs="?", help="how many (default: all)")
    _add_dead_letters(adds.group("dead-letters", "see and replay what was refused for good"))
    _add_stuck(adds.group("stuck", "see and release accounts at which a due moment failed"))


def _add_migration(adds: _Adds) -> None:
    imports = adds(
        "import",
        "commands.importing:import_members",
        "take in members from another system, from a folder of CSV files",
        example="loyalty import before/ --dry-run    # and then without; a second time it changes"
        " nothing",
    )
    imports.add_argument("folder", help="the folder; docs/import.md says what is in it")
    only = imports.add_mutually_exclusive_group()
    only.add_argument("--check", action="store_true", help="check it whole, and take nobody")
    only.add_argument(
        "--dry-run", action="store_true", help="check it, print the totals, and take nobody"
    )
    imports.add_argument("--json", action="store_true", help="print totals as one JSON object")
    compares = adds(
        "shadow",
        "commands.shadow:shadow",
        "compare balances with those of another system, from a CSV file of"
        " member_id,currency,available,pending",
        example="loyalty shadow balances.csv --csv differences.csv",
    )
    compares.add_argument("file", help="the file; a first line names the columns")
    compares.add_argument("--csv", metavar="FILE", help="write there every difference")
    compares.add_argument(
        "--json", action="store_true", help="print sums and every difference as one JSON object"
    )
    exports = adds(
        "export",
        "commands.exporting:export",
        "write all members to the files of an import",
        example="loyalty export after/    # a folder that is not there yet, or empty",
    )
    exports.add_argument("folder", help="the folder; docs/import.md says what will be in it")
    exports.add_argument("--json", action="store_true", help="print totals as one JSON object")


def _add_rejudge(program: _Adds) -> None:
    rejudge = program(
        "rejudge",
        "commands.rejudging:rejudge",
        "say who would rise and fall if a draft began to hold; changes nothing",
        example="loyalty program rejudge draft.yaml --csv who.csv",
    )
    rejudge.add_argument("file", help="the draft, in YAML or JSON; - reads standard input")
    rejudge.add_argument(
        "--plan",
        choices=("keep_until_review", "rise_at_once", "judge_at_once"),
        help="instead of what the draft says in tiers.on_change",
    )
    rejudge.add_argument("--csv", metavar="FILE", help="write there who, and from which level")
    rejudge.add_argument("--json", action="store_true", help="print all of it as one JSON object")


def _add_books(adds: _Adds) -> None:
    verify = adds(
        "verify",
        "commands.books:verify",
        "recompute chains, lots, balances and the trial balance, and name the first wrong row",
        example="loyalty verify --json",
    )
    verify.add_argument("--json", action="store_true", help="print the verdict as one JSON object")
    verify.add_argument(
        "--against",
        metavar="CHECKPOINT",
        help="also hold every chain against this checkpoint: a file of it, or - for standard input",
    )
    replay = adds(
        "replay",
        "commands.replay:replay",
        "decide the whole journal again, and name the first row that is not what it makes",
        example="loyalty replay --member 17850",
    )
    replay.add_argument("--member", metavar="ID", help="only this member (default: all)")
    replay.add_argument("--json", action="store_true", help="print the result as one JSON object")
    replay.add_argument(
        "--processes", type=int, metavar="N", help="how many share the work (default: one a core)"
    )
    checkpoint = adds(
        "checkpoint",
        "commands.checkpoints:checkpoint",
        "sign one root over the chains of all members, keep, publish and print it",
        example="loyalty checkpoint > 2011-06-09.json",
    )
    checkpoint.add_argument(
        "--new-key", metavar="FILE", help="make a key to sign with, and FILE.pub, and nothing else"
    )
    proof = adds(
        "proof",
        "commands.checkpoints:proof",
        "print the proof that a journal row stands under a checkpoint, or check one",
        example="loyalty proof 17850 41 > proof.json\n"
        "  loyalty proof --check proof.json --key checkpoints.pem.pub    # needs no database",
    )
    proof.add_argument("member", nargs="?", metavar="MEMBER", help="the member's id")
    proof.add_argument("seq", nargs="?", type=int, metavar="SEQ", help="which row of its journal")
    proof.add_argument(
        "--checkpoint",
        type=int,
        metavar="N",
        help="the checkpoint's number (default: the first that covers the row)",
    )
    proof.add_argument("--check", metavar="FILE", help="check this proof instead")
    for command in (verify, proof):
        command.add_argument(
            "--key",
            metavar="PUB.pem",
            help="the public key of whoever signed (default: of LOYALTY_CHECKPOINT_KEY_FILE)",
        )
    _add_explain(adds.group("explain", "say in sentences what happened to a member, and why"))
    _add_finance(adds.group("books", "close periods, report on them and approve what they rest on"))
    adds(
        "recover",
        "commands.books:recover",
        "start a new incarnation after a restore or a lost topic",
        example="loyalty recover        # when serve, work, relay and schedule refuse to start",
    )


def _add_explain(adds: _Adds) -> None:
    member = adds(
        "member",
        "commands.explain:member",
        "tell the story of a member, one activity after the other",
        example="loyalty explain member 12346 --since 2011-01-18 --language zh-Hans",
    )
    order = adds(
        "order",
        "commands.explain:order",
        "tell everything that concerns one order of a member",
        example="loyalty explain order 12346 541431",
    )
    entry = adds(
        "entry",
        "commands.explain:entry",
        "explain one row of a member's journal: rules, arithmetic, cuts, lots, version",
        example="loyalty explain entry 12346 2      # or one ledger entry of it: … entry 12346 2 0",
    )
    activity = adds(
        "activity",
        "commands.explain:activity",
        "explain what became of an event, also one that earned nothing or is a dead letter",
        example="loyalty explain activity /shop order-1 --member 17850",
    )
    for command in (member, order, entry):
        command.add_argument("member", help="the member's id")
    member.add_argument("--since", metavar="WHEN", help="from this day of the programme's, or time")
    member.add_argument("--full", action="store_true", help="with every rule, cut and lot")
    order.add_argument("order", help="the order's id")
    entry.add_argument("seq", type=int, help="which row of the journal; the first is 1")
    entry.add_argument("n", type=int, nargs="?", help="which ledger entry of it; the first is 0")
    activity.add_argument("source", help="the event's source, as its producer sent it")
    activity.add_argument("id", help="the event's id")
    activity.add_argument("--member", help="whose it is (default: look at all, which takes longer)")
    for command in (member, order, entry, activity):
        command.add_argument(
            "--language", default="en", metavar="TAG", help="en or zh-Hans (default: %(default)s)"
        )
        command.add_argument(
            "--json", action="store_true", help="print keys, values and text as one JSON object"
        )


def _add_finance(adds: _Adds) -> None:
    close = adds(
        "close",
        "commands.finance:close",
        "close the next month for good, with a checkpoint, and print its report",
        example='loyalty books close 2011-03 --by "Ann Li" --json > 2011-03.json',
    )
    close.add_argument("period", metavar="PERIOD", help="the month, as in 2011-03")
    close.add_argument("--by", required=True, help="who answers for it")
    close.add_argument(
        "--undecided",
        action="store_true",
        help="although moments of it are due and not decided; they will be prior-period",
    )
    report = adds(
        "report",
        "commands.finance:report",
        "report on a month or a span: roll-forward, liability, deferred revenue, journals",
        example="loyalty books report 2011-03 --csv journals",
    )
    report.add_argument(
        "period", metavar="PERIOD", nargs="?", help="the month, as in 2011-03 (default: all)"
    )
    report.add_argument("--since", metavar="WHEN", help="from what had happened before this")
    report.add_argument("--until", metavar="WHEN", help="to what had happened before this")
    report.add_argument(
        "--known-by", metavar="WHEN", help="as it was known by this instant (default: now)"
    )
    for command in (close, report):
        shown = command.add_mutually_exclusive_group()
        shown.add_argument("--json", action="store_true", help="print all as one JSON object")
        shown.add_argument("--csv", metavar="TABLE", help="print one table as CSV")
    adds(
        "list",
        "commands.finance:show_all",
        "list closed months with their checkpoints",
        example="loyalty books list",
    )
    approve = adds(
        "approve",
        "commands.finance:approve",
        "approve expected redemption, worth in other money, or the code of an account",
        example='loyalty books approve redemption points 0.95 --from 2011-01-01 --by "Ann Li"\n'
        '  loyalty books approve account deferred_revenue 2310 --from 2011-01-01 --by "Ann Li"',
    )
    approve.add_argument("what", choices=["redemption", "worth", "account"], help="what it is")
    approve.add_argument("of", metavar="OF", help="the currency of points, or the account")
    approve.add_argument("value", metavar="VALUE", help="0.95, 0.012 EUR, or 2310")
    approve.add_argument(
        "--from", dest="holds_from", metavar="WHEN", required=True, help="from when it holds"
    )
    approve.add_argument("--issued", metavar="MONTH", default="", help="only points of this month")
    approve.add_argument("--by", required=True, help="who approves it")
    adds(
        "approvals",
        "commands.finance:show_approvals",
        "list what was approved, from when and by whom",
        example="loyalty books approvals",
    )


def _add_dead_letters(adds: _Adds) -> None:
    show_all = adds(
        "list",
        "commands.dead_letters:show_all",
        "list dead letters, newest first",
        example="loyalty dead-letters list --reason unknown_type",
    )
    show_all.add_argument("--reason", help="only with this reason code")
    show_all.add_argument("--member", help="only of this member")
    show_all.add_argument("--replayed", action="store_true", help="also those replayed since")
    show_all.add_argument("--limit", type=int, default=50, help="how many (default: %(default)s)")
    show = adds(
        "show",
        "commands.dead_letters:show",
        "print one dead letter with its bytes",
        example="loyalty dead-letters show commerce.purchases/3/1874",
    )
    replay = adds(
        "replay",
        "commands.dead_letters:replay",
        "record a dead letter after all, once what it lacked is there",
        example="loyalty dead-letters replay commerce.purchases/3/1874",
    )
    for command in (show, replay):
        command.add_argument("letter", help="where it stood: TOPIC/PARTITION/OFFSET")


def _add_stuck(adds: _Adds) -> None:
    adds(
        "list",
        "commands.stuck:show_all",
        "list stuck accounts, with what failed and how much waits",
        example="loyalty stuck list",
    )
    retry = adds(
        "retry",
        "commands.stuck:retry",
        "decide again what failed, and then what waited for it",
        example="loyalty stuck retry 17850     # once what made it fail is mended",
    )
    retry.add_argument("member", help="the member's id")


def _add_trying_out(adds: _Adds) -> None:
    demo = adds(
        "demo",
        "demo:play",
        "play six months of a real shop's purchases through the whole service",
        example="loyalty demo --once",
    )
    demo.add_argument("--once", action="store_true", help="end after the summary")
    demo.add_argument("--data", metavar="FILE", help="other purchases, with the same columns")
    demo.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    bench = adds(
        "bench",
        "bench.command:measure",
        "measure events per second against floors, on a scratch database server and broker",
        example="loyalty bench --quick   # as superuser of LOYALTY_MIGRATION_DATABASE_URL",
    )
    bench.add_argument(
        "--events", type=int, default=60_000, help="purchases in a run (default: %(default)s)"
    )
    bench.add_argument(
        "--repeats", type=int, default=3, help="runs of everything (default: %(default)s)"
    )
    bench.add_argument(
        "--long", type=int, default=0, metavar="EVENTS", help="also a run so long, for its memory"
    )
    bench.add_argument("--quick", action="store_true", help="only the ratios that are judged")
    bench.add_argument("--program", metavar="FILE", help="another programme than the bundled one")
    bench.add_argument("--json", action="store_true", help="print all numbers as one JSON object")


if __name__ == "__main__":
    sys.exit(main())
