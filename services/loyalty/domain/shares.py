"""Splitting whole numbers in proportion, so that the parts always sum to the whole."""

from __future__ import annotations


def sum_of(numbers: list[int]) -> int:
    """Their sum; compiled, the loop costs less than a call of ``sum``."""
    total = 0
    for number in numbers:
        total += number
    return total


def largest_remainder(total: int, weights: list[int]) -> list[int]:
    """``total`` split in proportion to ``weights`` (each ≥ 0), by the largest remainder (Hamilton)
    method.

    Ties go to the earlier weight. Where all weights are 0 the first gets everything.

    Raises:
        ValueError: no weights to split over.
    """
    if not weights:
        raise ValueError("nothing to split over")
    if len(weights) == 1:
        return [total]
    whole = sum_of(weights)
    if whole == 0:
        return [total] + [0] * (len(weights) - 1)
    shares: list[int] = []
    remainders: list[int] = []
    left = total
    largest, first = -1, 0
    least, last = whole, 0
    for weight in weights:
        product = total * weight
        share = product // whole
        remainder = product - share * whole
        if remainder > largest:
            largest, first = remainder, len(shares)
        if remainder <= least:
            least, last = remainder, len(shares)
        shares.append(share)
        remainders.append(remainder)
        left -= share
    if left == 1:
        shares[first] += 1
    elif left == len(shares) - 1:  # of three lines, one or two get what is left: no need to sort
        for index in range(len(shares)):
            if index != last:
                shares[index] += 1
    elif left:
        # a stable sort: among equal remainders the earlier weight stays first, even in reverse
        order = sorted(range(len(shares)), key=remainders.__getitem__, reverse=True)
        for index in order[:left]:
            shares[index] += 1
    return shares


def spread(total: int, room: list[int]) -> list[int]:
    """``total`` spread in proportion to ``room`` and never above it; what exceeds all room is left
    out.
    """
    return largest_remainder(min(total, sum(room)), room) if room and total > 0 else [0] * len(room)


def divide(numerator: int, denominator: int, rounding: str) -> int:
    """``numerator ÷ denominator`` (both ≥ 0) as a whole number, rounded ``down``, ``half_up`` or
    ``half_even``.
    """
    quotient, remainder = divmod(numerator, denominator)
    if rounding == "down" or not remainder:
        return quotient
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and (rounding == "half_up" or quotient % 2)):
        return quotient + 1
    return quotient
