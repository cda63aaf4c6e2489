"""Whether a certificate may sign a model package, today.

The library takes the moment at which the signing certificate became valid for the moment of the signature, so it never
finds one expired; and it takes every certificate that may sign anything at all, such as that of a web server of the same
authority. Nothing in a package proves when it was signed. So here the chain must hold now, and a certificate that says what it
is for must say code signing (RFC 5280, 4.2.1.12).
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import crypto

EXPIRED, NOT_YET_VALID = 10, 9
"""OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED and X509_V_ERR_CERT_NOT_YET_VALID."""


def subject_of(certificate: x509.Certificate) -> str:
    """Whose it is, such as CN=hedgerow release."""
    return certificate.subject.rfc4514_string() or "a nameless certificate"


def what_is_wrong(certificate: x509.Certificate) -> str:
    """Why it may not sign, by itself; empty where it may."""
    now = datetime.now(UTC)
    if now > certificate.not_valid_after_utc:
        return f"expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
    if now < certificate.not_valid_before_utc:
        return f"is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}, and this machine's clock says {now:%Y-%m-%d}"
    if not _may_sign(certificate.extensions):
        return "is not for signing code (its key usage must be digitalSignature, an extended one codeSigning)"
    return ""


def why_untrusted(chain: Sequence[x509.Certificate], authorities: Iterable[x509.Certificate]) -> str:
    """Why the first of a chain doesn't lead to one of the authorities today; empty where it does."""
    leaf, *between = chain
    store = crypto.X509Store()
    for authority in authorities:
        store.add_cert(crypto.X509.from_cryptography(authority))
    context = crypto.X509StoreContext(
        store, crypto.X509.from_cryptography(leaf), [crypto.X509.from_cryptography(one) for one in between]
    )
    try:
        context.verify_certificate()
    except crypto.X509StoreContextError as error:
        found = error.certificate.to_cryptography()
        if error.errors[0] in {EXPIRED, NOT_YET_VALID} and (wrong := what_is_wrong(found)):
            return f"the certificate of {subject_of(found)} {wrong}"
        return f"its certificate, {subject_of(leaf)}, comes from none of the trusted authorities"
    return ""


def _may_sign(extensions: x509.Extensions) -> bool:
    try:
        extended = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        extended = None
    if extended is not None and not {ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(extended):
        return False
    try:
        return extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature or extended is not None
    except x509.ExtensionNotFound:
        return extended is not None
