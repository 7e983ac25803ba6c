"""Pivot SQL: one statement for cells, both margins and the total.

Calls are summed by tag set first, each once; only then is a set counted under each of its tags.
"""

from dataclasses import dataclass

from spend.pieces import in_range

LOCAL_DAY = "(r.starts_at at time zone %(zone)s)"
# Of each dimension that a call has exactly one of: how a roll-up tells it.
PLAIN = {
    "key": "r.key_id",
    "model": "r.model",
    "day": f"{LOCAL_DAY}::date",
    "week": f"date_trunc('week', {LOCAL_DAY})::date",
    "month": f"date_trunc('month', {LOCAL_DAY})::date",
}
# Of those that a call may have several of: what its set says, each value once.
SEVERAL = {
    "tag": "select unnest(sums.tags) as value",
    "prefix": "select distinct split_part(unnest(sums.tags), ':', 1) as value",
}
TYPES = {"key": "uuid", "day": "date", "week": "date", "month": "date"}  # the others are text
BARE, NEITHER = "sums.bare", "false"
NO_TAGS = "r.tag_set_id = (select id from spend_tagset where tags = '{}')"
DIMENSIONS = ("tag", "prefix", "key", "model", "day", "week", "month")
TIMES = ("day", "week", "month")
MEASURES = (
    "cost", "requests", "failed", "refused", "prompt_tokens", "cached_tokens", "completion_tokens",
)  # fmt: skip
RANKS = {name: f"sum({name})" for name in MEASURES} | {
    "average": "coalesce(sum(cost) / nullif(sum(requests), 0), 0)"
}
BY_DAY = "r.span = %(span)s and r.starts_at >= %(starts_at)s and r.starts_at < %(ends_at)s"


@dataclass(frozen=True, slots=True)
class Side:
    """A dimension in the statement; of no more than `most` the cells are told, if there is one."""

    name: str | None
    letter: str
    most: int | None = None

    @property
    def value(self) -> str:
        return f"sums.{self.letter}" if self.name in PLAIN else f"of_{self.letter}.value"

    @property
    def join(self) -> str:
        if self.name not in SEVERAL:
            return ""
        return f" cross join lateral ({SEVERAL[self.name]}) as of_{self.letter}"

    @property
    def absent(self) -> str:
        """A null of its type, as the parts of a union must agree."""
        return f"null::{TYPES.get(self.name or '', 'text')}"

    @property
    def alias(self) -> str:
        return "max(alias)" if self.name == "key" else "null::text"

    def shown(self, rank: str) -> str:
        """Which have cells of their own: the largest, of equals the first by name."""
        return f"""{self.letter}_shown as materialized (
  select {self.value} as {self.letter} from sums{self.join} group by {self.value}
   order by {rank} desc, {self.value}::text collate "C" limit {self.most})"""

    @property
    def cell(self) -> str:
        return self.value if self.most is None else f"{self.letter}_shown.{self.letter}"

    @property
    def shown_join(self) -> str:
        """What is not among the shown is null, and so one cell."""
        if self.most is None:
            return ""
        name = f"{self.letter}_shown"
        return f" left join {name} on {name}.{self.letter} = {self.value}"


@dataclass(frozen=True, slots=True)
class PivotQuery:
    """Names come from the tables above alone; the column's may be None.

    `measure` ranks, and only its sums are read, the others are told as nothing. None: all of them.
    """

    row: Side
    column: Side
    measure: str | None = None

    @property
    def text(self) -> str:
        row, column = self.row, self.column
        steps = [self._sums()]
        parts = [
            self._part("row", (row.value, column.absent), row.alias, NEITHER, row.join, row.value),
            self._part("total", (row.absent, column.absent), "null::text", BARE, "", BARE),
        ]
        if column.name is not None:
            rank = RANKS[self.measure or "cost"]
            steps += [side.shown(rank) for side in (row, column) if side.most is not None]
            joins = row.join + column.join + row.shown_join + column.shown_join
            cells, margin = (row.cell, column.cell), (row.absent, column.value)
            groups = f"{column.value}, {BARE}"
            parts += [
                self._part("cell", cells, "null::text", NEITHER, joins, ", ".join(cells)),
                self._part("column", margin, column.alias, BARE, column.join, groups),
            ]
        return f"with {', '.join(steps)} {' union all '.join(parts)}"

    @property
    def _read(self) -> tuple[str, ...]:
        if self.measure is None:
            return MEASURES
        return ("cost", "requests") if self.measure == "average" else (self.measure,)

    def _sums(self) -> str:
        """By what is told of each call, and by its tags, or whether it has any."""
        sides = (self.row, self.column)
        names = {side.name for side in sides}
        told = {side.letter: PLAIN[side.name] for side in sides if side.name in PLAIN}
        told |= {"tag_set_id": "r.tag_set_id"} if names & set(SEVERAL) else {"bare": NO_TAGS}
        alias = "max(r.key_alias)" if "key" in names else "null::text"
        called = f"""select {", ".join(f"{value} as {name}" for name, value in told.items())},
         {alias} as alias, {", ".join(f"sum(r.{name})::bigint as {name}" for name in self._read)}
    from spend_rollup r
   where {BY_DAY if names & {"day", "week"} else in_range()}
     and (%(sets)s::bigint[] is null or r.tag_set_id = any(%(sets)s))
     and (%(key_alias)s::text is null or r.key_alias = %(key_alias)s)
     and (%(key_id)s::uuid is null or r.key_id = %(key_id)s)
     and (%(model)s::text is null or r.model = %(model)s)
   group by {", ".join(told.values())}"""
        if "bare" in told:
            return f"sums as materialized ({called})"
        return f"""sums as materialized (
  select called.*, s.tags, s.tags = '{{}}' as bare
    from ({called}) as called join spend_tagset s on s.id = called.tag_set_id)"""

    def _part(
        self, kind: str, values: tuple[str, str], alias: str, bare: str, joins: str, groups: str
    ) -> str:
        read = self._read
        totals = ", ".join(f"sum({name})::bigint" if name in read else "0" for name in MEASURES)
        return (
            f"select '{kind}' as kind, {values[0]} as r, {values[1]} as c, {alias} as alias,"
            f" {bare} as bare, {totals} from sums{joins} group by {groups}"
        )
