"""Gate 1: the lane's secret, as the edge compared it."""

from interlock.intake.rules import Refusal
from interlock.model.signal import AlertReceived


def check_secret(received: AlertReceived) -> Refusal | None:
    if received.body is None:
        return Refusal("secret.absent", f"the body cannot be read: {received.problem or 'it is not one JSON object'}")
    if not received.has_secret:
        return Refusal("secret.absent", "the message has no secret")
    if not received.is_secret_right:
        return Refusal("secret.wrong", f"the secret is not that of lane {received.lane}")
    return None
