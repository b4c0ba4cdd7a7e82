"""Keys, certificates, requests and lists of revoked ones, by PyPI `cryptography`: what a charger's maker and an operator
would bring."""

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


def name(common, organisation=None):
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organisation:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(parts)


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key):
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def request(key, common):
    """A charger's request for a certificate (PKCS#10)."""
    built = x509.CertificateSigningRequestBuilder().subject_name(name(common)).sign(key, hashes.SHA256())
    return built.public_bytes(serialization.Encoding.PEM)


class Authority:
    """A certificate authority."""

    def __init__(self, common, key=None, certificate=None):
        self.key = key or new_key()
        if certificate is None:
            builder = self._builder(name(common), name(common), self.key, NOW - DAY, NOW + 365 * DAY)
            constraints = x509.BasicConstraints(ca=True, path_length=None)
            certificate = builder.add_extension(constraints, critical=True).sign(self.key, hashes.SHA256())
        self.certificate = certificate

    @classmethod
    def read(cls, certificate_file, key_file):
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        return cls(None, key, x509.load_pem_x509_certificate(certificate_file.read_bytes()))

    @staticmethod
    def _builder(subject, issuer, key, begins, ends):
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(begins).not_valid_after(ends)

    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, key, common, usage, organisation=None, begins=NOW - DAY, ends=NOW + 30 * DAY):
        """A certificate in PEM; a server's is for the loopback address."""
        builder = self._builder(name(common, organisation), self.certificate.subject, key, begins, ends)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if usage == ExtendedKeyUsageOID.SERVER_AUTH:
            names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def revoke(self, *certificates):
        """The list of revoked certificates in PEM."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
        builder = builder.last_update(NOW - DAY).next_update(NOW + 30 * DAY)
        builder = builder.add_extension(x509.CRLNumber(1), critical=False)
        for pem in certificates:
            serial = x509.load_pem_x509_certificate(pem).serial_number
            revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW - DAY).build()
            builder = builder.add_revoked_certificate(revoked)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER = ExtendedKeyUsageOID.SERVER_AUTH
