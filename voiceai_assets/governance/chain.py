"""Certificates and their chain: each body against its name, each link against the one before. Pure.

Belongs here: what can be said of certificates alone. Does not belong here: whether they are true (``evidence``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from voiceai_assets.governance.findings import Finding, remark

PLACE = "governance.certificates"


@dataclass(frozen=True)
class Certificate:
    """A row of the ledger."""

    certificate_id: str
    day: str
    body: str
    previous_id: str | None
    chain_sha256: str
    redacted_at: datetime | None = None


def chain_findings(
    certificates: Sequence[Certificate], erasures: Sequence[tuple[datetime, datetime | None]]
) -> list[Finding]:
    """Bodies that are not what their name says, links that are broken, forked or missing.

    Args:
        certificates: all of them, in whatever order.
        erasures: from when to when each erasure worked; only one of those may have changed a body.
    """
    found = [f for c in certificates if (f := _body_finding(c, erasures)) is not None]
    followers: dict[str | None, list[Certificate]] = {}
    for certificate in certificates:
        followers.setdefault(certificate.previous_id, []).append(certificate)
    for previous, several in followers.items():
        if len(several) > 1:
            names = ", ".join(sorted(c.certificate_id[:12] for c in several))
            after = f"follow {previous[:12]}" if previous else "begin the chain"
            found.append(Finding(PLACE, None, f"{len(several)} certificates {after}, one may: {names}"))
    return found + _link_findings(certificates, followers)


def chain_head(certificates: Sequence[Certificate]) -> str | None:
    """Checksum at the end of the chain: whoever noted it can tell later that nothing before it was changed."""
    followed = {c.previous_id for c in certificates}
    ends = [c.chain_sha256 for c in certificates if c.certificate_id not in followed]
    return ends[0] if len(ends) == 1 else None


def _body_finding(certificate: Certificate, erasures: Sequence[tuple[datetime, datetime | None]]) -> Finding | None:
    name = certificate.certificate_id
    if hashlib.sha256(certificate.body.encode()).hexdigest() == name:
        return None
    at = certificate.redacted_at
    if at is not None and any(start <= at and (end is None or at <= end) for start, end in erasures):
        text = f"certificate {name[:12]}: an erasure took an identifier out of its body on {at:%Y-%m-%d}"
        return remark(PLACE, certificate.day, text)
    return Finding(PLACE, certificate.day, f"certificate {name[:12]}: its body does not have the sha256 that names it")


def _link_findings(
    certificates: Sequence[Certificate], followers: dict[str | None, list[Certificate]]
) -> list[Finding]:
    found = []
    reached: set[str] = set()
    todo = [(certificate, "") for certificate in followers.get(None, [])]
    while todo:
        certificate, before = todo.pop()
        reached.add(certificate.certificate_id)
        expected = hashlib.sha256(f"{before}{certificate.certificate_id}".encode()).hexdigest()
        if certificate.chain_sha256 != expected:
            name = certificate.certificate_id[:12]
            found.append(Finding(PLACE, certificate.day, f"certificate {name}: its link to the one before is broken"))
        # what should stand there leads on, so a link that was changed is one finding and not two
        todo += [(c, expected) for c in followers.get(certificate.certificate_id, [])]
    return found + [
        Finding(PLACE, c.day, f"certificate {c.certificate_id[:12]}: no chain leads to it")
        for c in certificates
        if c.certificate_id not in reached
    ]
