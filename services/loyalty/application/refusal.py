"""The refusal of a message at the edge, and every code that it may carry."""

from __future__ import annotations

CODES: dict[str, str] = {
    "too_large": "the message has more bytes than are read, 1 MiB unless set otherwise",
    "not_json": "it is empty, not UTF-8, or not JSON",
    "too_deep": "JSON nested deeper than is read",
    "not_a_cloudevent": "an attribute that CloudEvents 1.0 requires is missing or wrong",
    "reserved_source": "the source is one that only this service uses",
    "unknown_type": "no event of that type is read here",
    "invalid_field": "a field is missing or not what it may be; the detail names it",
    "no_member": "there is no member id, or it is empty",
    "member_id_is_personal": "the member id looks like an e-mail address or a phone number",
    "key_mismatch": "the message's key is not its member id",
    "date_out_of_range": "a date lies too far in the future or past, or an end before its start",
    "unknown_currency": "ISO 4217 has no such currency",
    "impossible_amount": "no amount of its currency: below zero, too large, or more than its whole",
    "too_many_lines": "an order or refund has more lines than are read",
    "duplicate_position": "two lines have the same position",
    "too_many_events": "a batch holds more events than are read at once",
}
"""What each code means. Codes are stable: they stand in dead letters, answers and metrics."""


class Unacceptable(Exception):
    """A message that will never be accepted; sending the same bytes again is of no use.

    ``detail`` names the place and what is wrong with it, and repeats no payload. ``member`` is
    whose it is, where that could be read and is an id that may be stored.
    """

    def __init__(self, code: str, detail: str, member: str | None = None) -> None:
        assert code in CODES, code
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.member = member

    def of(self, member: str) -> Unacceptable:
        """The same refusal, of a member's message."""
        return Unacceptable(self.code, self.detail, member)
