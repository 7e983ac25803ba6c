"""Trials: the thirty that earn most trust, and which tests measure each of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trial:
    """`tests` of the default run, `long_tests` of `--long`; `lacks`: what of it nobody measures."""

    number: int
    asked: str
    tests: tuple[str, ...] = ()
    long_tests: tuple[str, ...] = ()
    lacks: str = ""


FAULTY = "tests/wire/test_faulty_lines.py"
CRASH = "tests/wire/test_crash.py"
P1, P2 = "tests/promises/test_p1_nothing_is_lost.py", "tests/promises/test_p2_strict_is_strict.py"
P4, P5 = (
    "tests/promises/test_p4_what_is_charged_is_checked.py",
    "tests/promises/test_p5_no_job_needed.py",
)
LOSES = f"{FAULTY}::test_the_books_balance_over_a_line_that_loses"
MANY = f"{FAULTY}::test_and_many_times_over"
MACHINE = "tests/spend/test_ledger_machine.py::test_it_does_what_the_model_does"
SINGLES = "tests/spend/test_batch_is_singles.py::test_it_answers_as_one_by_one"

TRIALS = (
    Trial(
        1, "race: 1,000 calls on a strict budget of 500, 100 times",
        ("tests/wire/test_race.py", f"{P2}::test_it_admits_exactly_what_fits"),
        ("tests/wire/test_race.py", f"{P2}::test_it_admits_exactly_what_fits_100_times"),
        "over HTTP 300 calls, 2 workers, 3 rounds (20 more with --long)",
    ),
    Trial(2, "teeth: 15 planted faults found", ("tests/spend/test_reconcile.py",)),
    Trial(3, "bill: 10,000 mixed calls, difference 0", ("tests/wire/test_bill.py",)),
    Trial(
        4, "crash points: 7 x 2 kills",
        (f"{CRASH}::test_a_worker_that_is_killed_leaves_one_row_for_each_call", P1), (),
        "kills at random moments, not at named points",
    ),
    Trial(5, "ledger machine: 2,000 runs x 100 steps", (MACHINE,), (f"{MACHINE}_2000_times",)),
    Trial(
        6, "lost replies: 1,000, no double charge",
        (f"{LOSES}[reply lost after the commit]",), (MANY,),
        "a random share of the replies of 40 calls (21 times with --long), not counted",
    ),
    Trial(7, "batch = singles: 5,000 batches", (SINGLES,), (f"{SINGLES}_in_5000_batches",)),
    Trial(
        8, "poison: 7 x 64 positions, no neighbour harmed",
        ("tests/spend/test_batching.py",), (), "batches of a few items, not 64 positions each",
    ),
    Trial(
        9, "hang-ups: every chunk x FIN, RST, silence", ("tests/wire/test_hang_ups.py",),
        ("tests/wire/test_hang_ups.py",), "some chunks, not all 50",
    ),
    Trial(10, "dead beat: windows without Celery", (P5,)),
    Trial(11, "strict sampled every 100 ms", lacks="judged at the end of each run only"),
    Trial(12, "tags checked = tags charged", (P4,)),
    Trial(
        13, "Valkey chaos: totals as in a quiet run",
        (
            f"{FAULTY}::test_calls_are_served_without_a_sound_valkey",
            f"{CRASH}::test_calls_go_on_without_valkey",
        ),
        (), "killed, silent, refused, replies lost; no FLUSHALL for 60 s",
    ),
    Trial(
        14, "PostgreSQL crashes: 20 under load",
        (
            f"{CRASH}::test_postgresql_that_crashes_under_load_loses_no_call",
            f"{FAULTY}::test_connections_that_are_cut_lose_no_call",
        ),
        (f"{FAULTY}::test_connections_that_are_cut_for_long_lose_no_call",),
        "1 crash; all connections cut 4 times (100 with --long)",
    ),
    Trial(
        15, "late originals: 500, no effect",
        (f"{LOSES}[original after its retry]",), (MANY,),
        "a random share of the requests of 40 calls (21 times with --long), not counted",
    ),
    Trial(
        16, "deadlocks: 0 in 10 min of chaos; unordered over 0",
        (
            f"{P2}::test_it_balances_through_chaos_without_a_deadlock",
            f"{P2}::test_the_order_of_locks_is_what_prevents_deadlocks",
        ),
        (f"{P2}::test_it_balances_through_ten_minutes_of_chaos",),
    ),
    Trial(17, "zombie: SIGSTOP past the end of its holds", lacks="no test over the wire"),
    Trial(
        18, "strict bound: cost <= hold for 10,000 bodies", ("tests/spend/test_text_bound.py",),
        (), "the text's part; no bodies through the gateway",
    ),
    Trial(
        19, "SSE corpus: 60 streams x 3 slicings", ("tests/proxy/test_streaming.py",), (),
        "streams of the tests, whose number is not held against 180",
    ),
    Trial(20, "replay of a recorded run", lacks="only as steps of the ledger machine (5)"),
    Trial(
        21, "scheduler: tasks delivered again and again",
        ("tests/spend/test_jobs.py",), (), "in one process, not five beats",
    ),
    Trial(
        22, "isolation: a locked window holds up its own tag", (),
        (f"{FAULTY}::test_a_locked_window_holds_up_its_own_tag_alone",), "p99 is not taken",
    ),
    Trial(23, "failover to a synchronous standby, 5 times", lacks="not tested"),
    Trial(
        24, "levels: every path x method x level",
        ("tests/proxy/test_permissions.py",), (),
        "paths of the tests, not held against every path and method",
    ),
    Trial(25, "canaries: planted secrets, 0 hits", lacks="not measured by this command"),
    Trial(26, "hostile input: 2,000 cases", lacks="not measured by this command"),
    Trial(
        27, "blocked key: 401 in 1 s; in 5 s unheard",
        ("tests/wire/test_revocation.py",),
        (f"{FAULTY}::test_a_blocked_key_is_refused_though_nobody_hears_of_it",),
        "no 1,000 races of cards",
    ),
    Trial(28, "browser: 60 payloads x every field", lacks="not measured by this command"),
    Trial(29, "soak: one hour of mixed faults", lacks="no command for it yet"),
    Trial(30, "mutants: 90 % killed", lacks="not measured by this command"),
)  # fmt: skip
