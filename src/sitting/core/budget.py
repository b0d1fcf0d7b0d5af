"""Tokens: reserve before the call, settle after it. `used + reserved` never passes `limit`."""

from __future__ import annotations

from dataclasses import dataclass

from .. import errors


@dataclass(frozen=True)
class Budget:
    """A limit with what is used and what is reserved, in tokens."""

    limit: int
    used: int = 0
    reserved: int = 0

    @property
    def free(self) -> int:
        """What may still be reserved."""
        return max(0, self.limit - self.used - self.reserved)

    def reserve(self, amount: int) -> Budget:
        """Set `amount` aside.

        Raises:
            BudgetExhausted: less than `amount` is free; facts: free, needed.
        """
        if amount > self.free:
            raise errors.BudgetExhausted(free=self.free, needed=amount)
        return Budget(self.limit, self.used, self.reserved + amount)

    def settle(self, reserved: int, used: int) -> Budget:
        """Give a reservation back and charge what was used, at most the reservation."""
        reserved = min(reserved, self.reserved)
        return Budget(self.limit, self.used + min(used, reserved), self.reserved - reserved)


def settled(
    *, reserved: int, prompt: int, input_tokens: int | None, output_tokens: int | None, counted: int
) -> Settlement:
    """What a finished call is charged.

    The provider's report counts where it is a whole number and not negative, else `prompt` and `counted`. Together
    at most `reserved`: output is cut first; what lies above is `overrun`.
    """
    said_in = prompt if input_tokens is None or input_tokens < 0 else input_tokens
    said_out = counted if output_tokens is None or output_tokens < 0 else output_tokens
    charged_in = min(said_in, reserved)
    charged_out = min(said_out, reserved - charged_in)
    return Settlement(charged_in, charged_out, said_in + said_out - charged_in - charged_out)


@dataclass(frozen=True)
class Settlement:
    """Tokens charged for one call, and what the provider reported beyond the reservation."""

    input_tokens: int
    output_tokens: int
    overrun: int

    @property
    def charged(self) -> int:
        return self.input_tokens + self.output_tokens
